package train

import (
	"context"
	"errors"
	"iter"

	"finetune/head"
	"finetune/internal/rng"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/learner/runs"
	"finetune/onnx/weights"
)

// headModel trains a head on the features of frozen photographs, wherever they are.
type headModel struct {
	head    *head.Head
	trainer *head.Trainer
	rows    rows
}

// rows are the features of the photographs that a head is trained and measured on: in
// memory, or in the parts of a job.
type rows interface {
	// Batch are the training rows at index in an epoch, with their labels. They are valid
	// until the next call.
	Batch(ctx context.Context, epoch int, index []int) (head.Batch, error)
	// Validate measures h as fit.Model says.
	Validate(ctx context.Context, h *head.Head) (runs.Score, []float32, error)
}

// inMemory are rows in memory.
type inMemory struct {
	train   features.Source
	valid   features.Split
	classes int
	multi   bool

	epoch int         // whose rows are in rows
	rows  [][]float32 // of the training photographs in that epoch
}

// Batch implements rows.
func (m *inMemory) Batch(ctx context.Context, epoch int, index []int) (head.Batch, error) {
	if m.rows == nil || m.epoch != epoch {
		rows, err := m.train.Rows(ctx, epoch)
		if err != nil {
			return head.Batch{}, err
		}
		m.epoch, m.rows = epoch, rows
	}
	b := head.Batch{Rows: make([][]float32, len(index))}
	for k, i := range index {
		b.Rows[k] = m.rows[i]
	}
	if m.multi {
		b.Targets = runs.Targets(m.train.Items, index, m.classes)
		return b, nil
	}
	b.Labels = make([]int, len(index))
	for k, i := range index {
		b.Labels[k] = m.train.Items[i].Label
	}
	return b, nil
}

// Validate implements rows.
func (m *inMemory) Validate(_ context.Context, h *head.Head) (runs.Score, []float32, error) {
	logp, err := h.Predict(m.valid.Rows)
	if err != nil {
		return runs.Score{}, nil, err
	}
	return runs.Measure(logp, m.valid.Items, m.classes, m.multi), logp, nil
}

func (m *headModel) Step(ctx context.Context, epoch int, index []int, r fit.Rates) (float64, error) {
	b, err := m.rows.Batch(ctx, epoch, index)
	if err != nil {
		return 0, err
	}
	return m.trainer.Step(b, head.Rates{LR: r.LR[len(r.LR)-1], Momentum: r.Momentum, Decay: r.Decay})
}

func (m *headModel) Validate(ctx context.Context) (runs.Score, []float32, error) {
	return m.rows.Validate(ctx, m.head)
}

func (m *headModel) Weights() ([]weights.Tensor, error)  { return runs.FileTensors(m.head.State()), nil }
func (m *headModel) SetWeights(t []weights.Tensor) error { return m.head.Restore(runs.HeadTensors(t)) }
func (m *headModel) Optimiser() ([]weights.Tensor, error) {
	return runs.FileTensors(m.trainer.State()), nil
}
func (m *headModel) Groups() []string         { return []string{"head"} }
func (m *headModel) Prefetch([]fit.NextBatch) {} // its rows are in memory, or read ahead by window
func (m *headModel) SetOptimiser(t []weights.Tensor) error {
	return m.trainer.Restore(runs.HeadTensors(t))
}

func (m *headModel) Reestimate(ctx context.Context, batches iter.Seq[[]int]) error {
	var failed error
	err := m.head.Reestimate(func(yield func([][]float32) bool) {
		for index := range batches {
			var b head.Batch
			if b, failed = m.rows.Batch(ctx, 0, index); failed != nil || !yield(b.Rows) {
				return
			}
		}
	}, rng.Text("swa"))
	return errors.Join(failed, err)
}
