package head

import (
	"slices"

	"finetune/internal/rng"
)

// Batches is the number of training batches in an epoch of n rows: ceil(n/size). A
// last batch of a single row joins the batch before it, because BatchNorm cannot train
// on one row. size is 1 or more.
func Batches(n, size int) int {
	b := (n + size - 1) / size
	if b > 1 && n%size == 1 {
		b--
	}
	return b
}

// Bounds returns the rows [lo, hi) of training batch i. The last batch can be shorter
// than size, or one row longer (see Batches).
func Bounds(n, size, i int) (lo, hi int) {
	lo, hi = i*size, (i+1)*size
	if i == Batches(n, size)-1 {
		hi = n
	}
	return lo, hi
}

// Order is the shuffled order of n training rows in an epoch. It depends on seed and
// epoch only.
func Order(n int, seed uint64, epoch int) []int {
	return rng.New(seed, rng.Text("head.order"), uint64(epoch)).Perm(n)
}

// BalancedOrder is an epoch for classes of unequal size: len(labels) rows, drawn with
// replacement, each class that occurs as likely as any other. It depends on seed and
// epoch only.
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

// ClassWeights are weights for Loss with which all classes that occur count the same:
// n/(classes that occur * rows of the class). A class that does not occur has 1.
func ClassWeights(labels []int, classes int) []float32 {
	counts := make([]int, classes)
	for _, y := range labels {
		counts[y]++
	}
	return WeightsOf(counts)
}

// WeightsOf are ClassWeights of rows of which each class has so many.
func WeightsOf(counts []int) []float32 {
	sum, present := 0, 0
	for _, n := range counts {
		if sum += n; n > 0 {
			present++
		}
	}
	w := make([]float32, len(counts))
	for c, n := range counts {
		w[c] = 1
		if n > 0 {
			w[c] = float32(sum) / float32(present*n)
		}
	}
	return w
}
