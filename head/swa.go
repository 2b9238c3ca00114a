package head

import (
	"iter"

	"finetune/internal/rng"
)

// Average is the running mean of a head's weights over a fit, the head of
// stochastic weight averaging:
//
//	mean = (mean*k + w) / (k+1), k = 0, 1, ... snapshots before
//
// BatchNorm's running statistics are not averaged: Reestimate them.
// Source: Izmailov et al. 2018; fast.ai 0.7 use_swa.
type Average struct {
	head  *Head
	count int
}

// NewAverage prepares the average of heads like h.
func NewAverage(h *Head) *Average { return &Average{head: h.Clone()} }

// Add takes a snapshot of h.
func (a *Average) Add(h *Head) {
	k, into := float32(a.count), a.head.parameters()
	for i, p := range h.parameters() {
		blend(into[i].Data, k/(k+1), p.Data, 1/(k+1))
	}
	a.count++
}

// Count is the number of snapshots taken.
func (a *Average) Count() int { return a.count }

// Head is the averaged head, in use by a until the next Add.
func (a *Average) Head() *Head { return a.head }

// State lists copies of the averaged weights, as Head.State, each name after
// "swa.", and swa.count.
func (a *Average) State() []Tensor {
	return copies(append(a.tensors(), Tensor{"swa.count", []int64{1}, []float32{float32(a.count)}})...)
}

// Restore copies tensors made by State into a. Errors as Head.Restore's.
func (a *Average) Restore(from []Tensor) error {
	count := []float32{0}
	if err := restore(append(a.tensors(), Tensor{"swa.count", []int64{1}, count}), from); err != nil {
		return err
	}
	a.count = int(count[0])
	return nil
}

func (a *Average) tensors() []Tensor {
	list := a.head.tensors()
	for i := range list {
		list[i].Name = "swa." + list[i].Name
	}
	return list
}

// Clone returns a copy of h that shares nothing with it.
func (h *Head) Clone() *Head {
	c, err := New(h.Config)
	if err == nil {
		err = c.Restore(h.tensors())
	}
	if err != nil {
		panic(err) // h was made by New from the same Config
	}
	c.engine = h.engine
	return c
}

// Reestimate rebuilds BatchNorm's running statistics by one pass over batches of
// rows in training mode, dropout on (its masks named by seed): a batch of n after
// seen rows weighs n/(seen+n). The weights do not change. Errors as Trainer.Step's.
func (h *Head) Reestimate(batches iter.Seq[[][]float32], seed uint64) error {
	t, err := NewTrainer(h, Options{Seed: seed})
	if err != nil {
		return err
	}
	defer h.setNormMomentum(newBatchNorm(0).Momentum)
	seen, step := 0, 0
	for rows := range batches {
		if err := t.checkBatch(rows); err != nil {
			return err
		}
		h.setNormMomentum(float32(len(rows)) / float32(seen+len(rows)))
		if err := t.forward(rows, rng.Text("head.reestimate"), step); err != nil {
			return err
		}
		seen += len(rows)
		step++
	}
	return nil
}

func (h *Head) setNormMomentum(m float32) {
	for _, b := range h.blocks {
		b.norm.Momentum = m
	}
}
