package train

import (
	"context"

	"finetune/head"
	"finetune/internal/rng"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/learner/runs"
	"finetune/onnx/weights"
)

// headModel trains a head on the features of frozen photographs.
type headModel struct {
	head    *head.Head
	trainer *head.Trainer
	train   features.Source
	valid   features.Split
	classes int
	multi   bool

	epoch int         // whose rows are in rows
	rows  [][]float32 // of the training photographs in that epoch
}

func (m *headModel) Step(ctx context.Context, epoch int, index []int, r fit.Rates) (float64, error) {
	if m.rows == nil || m.epoch != epoch {
		rows, err := m.train.Rows(ctx, epoch)
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
		b.Targets = runs.Targets(m.train.Items, index, m.classes)
		return b
	}
	b.Labels = make([]int, len(index))
	for k, i := range index {
		b.Labels[k] = m.train.Items[i].Label
	}
	return b
}

func (m *headModel) Predict(context.Context) ([]float32, error) { return m.head.Predict(m.valid.Rows) }

func (m *headModel) Weights() ([]weights.Tensor, error)  { return runs.FileTensors(m.head.State()), nil }
func (m *headModel) SetWeights(t []weights.Tensor) error { return m.head.Restore(runs.HeadTensors(t)) }
func (m *headModel) Optimiser() ([]weights.Tensor, error) {
	return runs.FileTensors(m.trainer.State()), nil
}
func (m *headModel) Groups() []string         { return []string{"head"} }
func (m *headModel) Prefetch([]fit.NextBatch) {} // its rows are in memory
func (m *headModel) SetOptimiser(t []weights.Tensor) error {
	return m.trainer.Restore(runs.HeadTensors(t))
}

func (m *headModel) Reestimate(ctx context.Context, batches [][]int) error {
	rows, err := m.train.Rows(ctx, 0)
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
