package head

import (
	"slices"

	"finetune/internal/rng"
)

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

// BalancedOrder is an epoch of len(labels) draws with replacement in which every
// class that occurs is as likely as any other, for classes of unequal size; named
// by seed and epoch alone.
func BalancedOrder(labels []int, classes int, seed uint64, epoch int) []int {
	rows := make([][]int, classes)
	for i, y := range labels {
		rows[y] = append(rows[y], i)
	}
	rows = slices.DeleteFunc(rows, func(r []int) bool { return len(r) == 0 })
	s, order := rng.New(seed, rng.Text("head.balanced"), uint64(epoch)), make([]int, len(labels))
	for i := range order {
		class := rows[s.Intn(len(rows))]
		order[i] = class[s.Intn(len(class))]
	}
	return order
}

// ClassWeights are weights for Loss that make every class that occurs count the
// same: n/(classes that occur * rows of the class); 1 for one that does not.
func ClassWeights(labels []int, classes int) []float32 {
	counts, present := make([]int, classes), 0
	for _, y := range labels {
		if counts[y] == 0 {
			present++
		}
		counts[y]++
	}
	w := make([]float32, classes)
	for c, n := range counts {
		w[c] = 1
		if n > 0 {
			w[c] = float32(len(labels)) / float32(present*n)
		}
	}
	return w
}
