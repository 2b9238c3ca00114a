package train

import (
	"context"

	"finetune/learner/features"
	"finetune/metrics"
)

// tta predicts a split by test-time augmentation with n views. It returns
// log-probabilities [len(items), classes].
func (tr *training) tta(ctx context.Context, h calibrated, s features.Split, n int) ([]float32, error) {
	logp, err := h.Predict(s.Rows)
	if err != nil {
		return nil, err
	}
	mean := metrics.NewViewMean(n, len(logp))
	mean.Centre(logp)
	for k := range n {
		rows, err := tr.AugmentedRows(ctx, s.Items, k)
		if err != nil {
			return nil, err
		}
		if logp, err = h.Predict(rows); err != nil {
			return nil, err
		}
		mean.View(logp)
	}
	return mean.LogProbabilities(), nil
}
