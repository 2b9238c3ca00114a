package head

import (
	"iter"

	"finetune/internal/rng"
)

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
