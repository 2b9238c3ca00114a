package fit

import (
	"iter"

	"finetune/dataset"
	"finetune/head"
	"finetune/learner/config"
	"finetune/learner/runs"
)

// Draw is how an epoch goes through the training rows: it returns the rows of each batch, by
// the batch's number, as the Model numbers them.
type Draw func(epoch int) func(batch int) []int

// Shuffled draws items: in a shuffled order, or with balanced sampling so that every class is
// equally likely.
func Shuffled(c runs.Training, items []dataset.Item, classes int) Draw {
	return func(epoch int) func(int) []int {
		order := head.Order(len(items), c.Seed, epoch)
		if c.Balance == config.Sampling {
			order = head.BalancedOrder(runs.Labels(items), classes, c.Seed, epoch)
		}
		return func(batch int) []int {
			lo, hi := head.Bounds(len(order), c.BatchSize, batch)
			return order[lo:hi]
		}
	}
}

// InTurn draws n rows one after the other, for a Model that shuffles them itself.
func InTurn(n, size int) Draw {
	return func(int) func(int) []int {
		return func(batch int) []int {
			lo, hi := head.Bounds(n, size, batch)
			index := make([]int, hi-lo)
			for i := range index {
				index[i] = lo + i
			}
			return index
		}
	}
}

// all are the batches of an epoch.
func (f *Fit) all(epoch int) iter.Seq[[]int] {
	batch := f.Draw(epoch)
	return func(yield func([]int) bool) {
		for i := range f.Batches {
			if !yield(batch(i)) {
				return
			}
		}
	}
}
