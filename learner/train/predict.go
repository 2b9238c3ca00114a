package train

import (
	"finetune/internal/parallel"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/metrics"
)

// predictAll predicts every readable photograph: valid, aside, test and train, in
// this order, by the centre view. logp is what h says of the first.
func (tr *training) predictAll(h calibrated, logp []float32) (rows []runs.Prediction, err error) {
	for i, p := range []struct {
		name string
		s    features.Split
	}{{"valid", tr.features.Valid}, {"aside", tr.features.Aside},
		{"test", tr.features.Test}, {"train", tr.features.Train}} {
		if i > 0 {
			if logp, err = h.Predict(p.s.Rows); err != nil {
				return nil, err
			}
		}
		rows = append(rows, predictions(p.name, p.s, logp, len(tr.Set.Classes))...)
		made := rows[len(rows)-len(p.s.Rows):]
		parallel.For(len(made), 0, func(i int) { made[i].Odd = h.odd(p.s.Rows[i]) })
	}
	return rows, nil
}

func predictions(name string, s features.Split, logp []float32, classes int) []runs.Prediction {
	rows := make([]runs.Prediction, len(s.Items))
	for i, it := range s.Items {
		lp := logp[i*classes : (i+1)*classes]
		rows[i] = runs.Prediction{Split: name, Path: it.Path, Label: it.Label, Labels: it.Labels, Predicted: metrics.Best(lp),
			LogProb: lp}
	}
	return rows
}
