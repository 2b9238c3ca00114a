package learner

import (
	"context"
	"math"

	"finetune/head"
)

// minProbability keeps a logarithm finite where averaged probabilities vanish.
const minProbability = 1e-12

// TTA predicts a split by test-time augmentation: the mean of the probabilities
// of n augmented views and of the centre view, which counts ceil(n/4) times
// (fast.ai 0.7). It returns log-probabilities [len(items), classes].
func (l *Learner) TTA(ctx context.Context, h *head.Head, s split, n int) ([]float32, error) {
	plain := (n + 3) / 4
	sum := make([]float64, len(s.items)*len(l.Set.Classes))
	add := func(rows [][]float32, weight float64) error {
		logp, err := h.Predict(rows)
		if err != nil {
			return err
		}
		for i, v := range logp {
			sum[i] += weight * math.Exp(float64(v))
		}
		return nil
	}
	if err := add(s.rows, float64(plain)); err != nil {
		return nil, err
	}
	for k := range n {
		rows, err := l.augmented(ctx, s.items, k)
		if err != nil {
			return nil, err
		}
		if err := add(rows, 1); err != nil {
			return nil, err
		}
	}
	out := make([]float32, len(sum))
	for i, p := range sum {
		out[i] = float32(math.Log(max(p/float64(plain+n), minProbability)))
	}
	return out, nil
}
