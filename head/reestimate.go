package head

import (
	"iter"

	"finetune/internal/rng"
)

// Reestimate computes BatchNorm's running statistics anew, in one pass over batches of
// rows in training mode. Dropout is on, and its masks follow from seed. A batch of n
// rows after m others gets the weight n/(m+n), so the result is the mean over all
// rows. The weights of the layers do not change. Errors are those of Trainer.Step.
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
