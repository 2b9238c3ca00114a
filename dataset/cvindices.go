package dataset

import "math/bits"

// CVIndices returns the validation indices of fold 0, 1, … that fast.ai 0.7
// draws: get_cv_idxs(n, fold, pct, seed), so that a run can be compared with a
// notebook. They are in drawing order.
//
// Source: reference section 1.2 (NumPy's legacy permutation over MT19937).
func CVIndices(n, fold int, pct float64, seed uint32) []int {
	m := newMT19937(seed)
	a := make([]int, n)
	for i := range a {
		a[i] = i
	}
	for k := n - 1; k > 0; k-- {
		mask := uint32(1)<<bits.Len32(uint32(k)) - 1
		j := m.next() & mask
		for j > uint32(k) {
			j = m.next() & mask
		}
		a[k], a[j] = a[j], a[k]
	}
	size := int(pct * float64(n))
	from := min(max(fold, 0)*size, n)
	return a[from:min(from+size, n)]
}

// mt19937 is the Mersenne Twister of Matsumoto and Nishimura 1998.
type mt19937 struct {
	state [624]uint32
	at    int
}

func newMT19937(seed uint32) *mt19937 {
	m := &mt19937{at: 624}
	m.state[0] = seed
	for i := 1; i < 624; i++ {
		m.state[i] = 1812433253*(m.state[i-1]^m.state[i-1]>>30) + uint32(i)
	}
	return m
}

func (m *mt19937) next() uint32 {
	if m.at == 624 {
		for i := range m.state {
			y := m.state[i]&0x80000000 | m.state[(i+1)%624]&0x7fffffff
			m.state[i] = m.state[(i+397)%624] ^ y>>1 ^ (y&1)*0x9908b0df
		}
		m.at = 0
	}
	y := m.state[m.at]
	m.at++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}
