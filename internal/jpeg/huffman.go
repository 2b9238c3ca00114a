package jpeg

// fastBits is how long a code the table of huffman.fast holds.
const fastBits = 9

// huffman decodes the codes of one table.
type huffman struct {
	fast   [1 << fastBits]uint16 // length<<8 | value of the code that these bits begin with; 0: longer
	last   [17]int32             // largest code of each length, -1 for none
	offset [17]int32             // index in values of code 0 of that length
	values [256]uint8
}

// newHuffman takes the body of a table: 16 counts and the values.
func newHuffman(counts, values []byte) (*huffman, bool) {
	t := &huffman{}
	copy(t.values[:], values)
	code, k := int32(0), int32(0)
	for n := 1; n <= 16; n++ {
		count := int32(counts[n-1])
		t.offset[n], t.last[n] = k-code, -1
		if count > 0 {
			if code+count > 1<<n {
				return nil, false
			}
			t.last[n] = code + count - 1
		}
		for range count {
			if n <= fastBits {
				from := code << (fastBits - n)
				for i := range int32(1) << (fastBits - n) {
					t.fast[from+i] = uint16(n)<<8 | uint16(t.values[k])
				}
			}
			code, k = code+1, k+1
		}
		code <<= 1
	}
	return t, true
}

// bits reads the data of a scan up to its next marker.
type bits struct {
	data []byte
	at   int
	acc  uint64
	n    int // bits in acc
	pad  int // how many of them, the last, are not the file's
}

func (b *bits) fill() {
	for b.n <= 56 {
		v := uint64(0)
		switch {
		case b.at < len(b.data) && b.data[b.at] != 0xff:
			v = uint64(b.data[b.at])
			b.at++
		case b.at+1 < len(b.data) && b.data[b.at+1] == 0:
			v = 0xff
			b.at += 2
		default:
			b.pad += 8
		}
		b.acc, b.n = b.acc<<8|v, b.n+8
	}
}

// over reports whether more bits were read than there are.
func (b *bits) over() bool { return b.n < b.pad }

// take returns the next k bits, k at most 16.
func (b *bits) take(k int) int32 {
	if b.n < k {
		b.fill()
	}
	b.n -= k
	return int32(b.acc>>b.n) & (1<<k - 1)
}

// signed reads a value of k bits (T.81, figure F.12).
func (b *bits) signed(k int) int32 {
	if k == 0 {
		return 0
	}
	v := b.take(k)
	if v < 1<<(k-1) {
		v -= 1<<k - 1
	}
	return v
}

// code reads a Huffman code; -1 is none of the table's.
func (b *bits) code(t *huffman) int {
	if b.n < 16 {
		b.fill()
	}
	if e := t.fast[b.acc>>(b.n-fastBits)&(1<<fastBits-1)]; e != 0 {
		b.n -= int(e >> 8)
		return int(e & 0xff)
	}
	for n := fastBits + 1; n <= 16; n++ {
		v := int32(b.acc>>(b.n-n)) & (1<<n - 1)
		if v <= t.last[n] {
			b.n -= n
			return int(t.values[v+t.offset[n]])
		}
	}
	return -1
}
