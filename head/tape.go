package head

// tape holds what a block computes for one batch. Data inside a step is
// feature-major: a row for each feature and a column for each row of the batch,
// so that BatchNorm's sums run over neighbouring values.
//
//	x [In, ld] -> BatchNorm, Dropout -> z [In, ld] -> Linear, ReLU -> y [Out, ld]
//
// ld is n rounded up to a multiple of 16. The columns past n hold nothing of
// meaning in x and y, and zeros in z and the gradients. The y of a block is the
// x of the next, its dy the next one's dx. Buffers grow to the largest batch seen.
type tape struct {
	block *block
	n, ld int

	x, z, dz, dx []float32 // [In, ld]; dz and dx are gradients
	y, dy        []float32 // [Out, ld]
	mask         []uint64  // [In, words] bits, 1 for a kept value
	mean, invStd []float32 // [In] of this batch
	native       nativeBuffers
}

// newTapes makes the tapes of a head, joined to each other.
func newTapes(blocks []*block) []*tape {
	var list []*tape
	for _, b := range blocks {
		in := b.linear.In
		list = append(list, &tape{block: b, mean: make([]float32, in), invStd: make([]float32, in)})
	}
	return list
}

// resize makes the tapes hold n rows. Only training needs gradients.
func resize(tapes []*tape, n int, training bool) {
	ld := (n + 15) / 16 * 16
	for i, t := range tapes {
		in, out := t.block.linear.In, t.block.linear.Out
		t.n, t.ld = n, ld
		t.x, t.z, t.y = grow(t.x, in*ld), grow(t.z, in*ld), grow(t.y, out*ld)
		if training {
			t.dz, t.dx, t.dy = grow(t.dz, in*ld), grow(t.dx, in*ld), grow(t.dy, out*ld)
			t.mask = grow(t.mask, in*t.words())
			t.native.resize(in, out, ld)
		}
		if i > 0 { // what one block puts out the next takes in
			tapes[i-1].y, tapes[i-1].dy, tapes[i-1].native.dyp = t.x, t.dx, t.native.dxp
		}
	}
}

// words is the number of mask words a feature.
func (t *tape) words() int { return (t.ld + 63) / 64 }

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// load turns rows [n][In] into the features [lo, hi) of x, four rows at a time.
func (t *tape) load(rows [][]float32, lo, hi int) {
	i, ld := 0, t.ld
	for ; i+4 <= len(rows); i += 4 {
		a, b, c, d := rows[i][lo:hi], rows[i+1][lo:hi], rows[i+2][lo:hi], rows[i+3][lo:hi]
		b, c, d = b[:len(a)], c[:len(a)], d[:len(a)]
		x := t.x[lo*ld+i:]
		for j, v := range a {
			q := x[j*ld : j*ld+4 : j*ld+4]
			q[0], q[1], q[2], q[3] = v, b[j], c[j], d[j]
		}
	}
	for ; i < len(rows); i++ {
		x := t.x[lo*ld+i:]
		for j, v := range rows[i][lo:hi] {
			x[j*ld] = v
		}
	}
}
