package head

import "finetune/internal/rng"

// Batches is the number of training batches that n rows make: ceil(n/size), one
// fewer where the last would be a single row, which then joins the batch before
// it, because BatchNorm cannot train on one row.
func Batches(n, size int) int {
	b := (n + size - 1) / size
	if b > 1 && n%size == 1 {
		b--
	}
	return b
}

// Bounds are the rows [lo, hi) of training batch i; the last is short, or one
// row longer than size (see Batches).
func Bounds(n, size, i int) (lo, hi int) {
	lo, hi = i*size, (i+1)*size
	if i == Batches(n, size)-1 {
		hi = n
	}
	return lo, hi
}

// Order is the shuffled order of n training rows in an epoch, named by seed and
// epoch alone.
func Order(n int, seed uint64, epoch int) []int {
	return rng.New(seed, rng.Text("head.order"), uint64(epoch)).Perm(n)
}
