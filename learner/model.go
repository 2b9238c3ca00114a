package learner

import (
	"context"
	"slices"

	"finetune/dataset"
	"finetune/head"
	"finetune/internal/rng"
	"finetune/onnx/weights"
	"finetune/schedule"
)

// model is what a fit trains: a head on cached features here, the whole network
// on photographs in full.go.
type model interface {
	// step takes the training photographs at index in one step and returns the loss before it.
	step(ctx context.Context, epoch int, index []int, r rates) (float64, error)
	// predict returns log-probabilities [n, classes] of the validation photographs.
	predict(ctx context.Context) ([]float32, error)
	// weights copies the parameters and running statistics; set puts such copies back.
	weights() ([]weights.Tensor, error)
	set([]weights.Tensor) error
	// optimiser copies what only training needs; setOptimiser puts it back.
	optimiser() ([]weights.Tensor, error)
	setOptimiser([]weights.Tensor) error
	// reestimate rebuilds running statistics for averaged weights (SWA).
	reestimate(ctx context.Context, orders [][]int) error
	// groups names the layer groups, input side first.
	groups() []string
}

// rates are what one step uses.
type rates struct {
	LR              []float64 // one a layer group
	Momentum, Decay float64
}

// headModel trains a head on the features of frozen photographs.
type headModel struct {
	head    *head.Head
	trainer *head.Trainer
	train   source
	valid   split
	classes int
	multi   bool

	epoch int         // whose rows are in rows
	rows  [][]float32 // of the training photographs in that epoch
}

func (m *headModel) step(ctx context.Context, epoch int, index []int, r rates) (float64, error) {
	if m.rows == nil || m.epoch != epoch {
		rows, err := m.train.rows(ctx, epoch)
		if err != nil {
			return 0, err
		}
		m.epoch, m.rows = epoch, rows
	}
	return m.trainer.Step(m.batch(index), head.Rates{LR: r.LR[len(r.LR)-1], Momentum: r.Momentum, Decay: r.Decay})
}

func (m *headModel) batch(index []int) head.Batch {
	b := head.Batch{Rows: make([][]float32, len(index))}
	for k, i := range index {
		b.Rows[k] = m.rows[i]
	}
	if m.multi {
		b.Targets = targets(m.train.items, index, m.classes)
		return b
	}
	b.Labels = make([]int, len(index))
	for k, i := range index {
		b.Labels[k] = m.train.items[i].Label
	}
	return b
}

func (m *headModel) predict(context.Context) ([]float32, error) { return m.head.Predict(m.valid.rows) }

func (m *headModel) weights() ([]weights.Tensor, error)   { return toFile(m.head.State()), nil }
func (m *headModel) set(t []weights.Tensor) error         { return m.head.Restore(fromFile(t)) }
func (m *headModel) optimiser() ([]weights.Tensor, error) { return toFile(m.trainer.State()), nil }
func (m *headModel) groups() []string                     { return []string{"head"} }
func (m *headModel) setOptimiser(t []weights.Tensor) error {
	return m.trainer.Restore(fromFile(t))
}

func (m *headModel) reestimate(ctx context.Context, batches [][]int) error {
	rows, err := m.train.rows(ctx, 0)
	if err != nil {
		return err
	}
	return m.head.Reestimate(func(yield func([][]float32) bool) {
		for _, index := range batches {
			part := make([][]float32, len(index))
			for k, i := range index {
				part[k] = rows[i]
			}
			if !yield(part) {
				return
			}
		}
	}, rng.Text("swa"))
}

// toFile and fromFile turn a head's tensors into a file's and back.
func toFile(list []head.Tensor) []weights.Tensor {
	out := make([]weights.Tensor, len(list))
	for i, t := range list {
		out[i] = weights.Tensor{Name: t.Name, Shape: t.Shape, Data: t.Data}
	}
	return out
}

func fromFile(list []weights.Tensor) []head.Tensor {
	var out []head.Tensor
	for _, t := range list {
		if t.Data != nil {
			out = append(out, head.Tensor{Name: t.Name, Shape: t.Shape, Data: t.Data})
		}
	}
	return out
}

// targets are the n-hot labels [len(index), classes] of items.
func targets(items []dataset.Item, index []int, classes int) []float32 {
	t := make([]float32, len(index)*classes)
	for k, i := range index {
		for _, c := range items[i].Labels {
			t[k*classes+c] = 1
		}
	}
	return t
}

func labels(items []dataset.Item) []int {
	y := make([]int, len(items))
	for i, it := range items {
		y[i] = it.Label
	}
	return y
}

// everything is the index 0..n-1.
func everything(n int) []int {
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	return index
}

// ratesAt is what a step of a fit uses: every group's rate times the schedule's
// factor, the schedule's momentum where it moves one, and the decay.
func (c Training) ratesAt(s schedule.Schedule, groups, step int) rates {
	base := c.LRs
	if len(base) == 0 {
		base = slices.Repeat([]float64{c.LR}, groups)
	}
	r := rates{LR: make([]float64, groups), Momentum: c.Momentum, Decay: c.WeightDecay}
	for i := range r.LR {
		r.LR[i] = base[len(base)-groups+i] * s.Factor(step)
	}
	if c.movesMomentum() {
		r.Momentum = s.Momentum(step)
	}
	if c.NormDecay {
		r.Decay = schedule.DecayAt(s, c.WeightDecay, step)
	}
	return r
}
