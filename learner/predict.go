package learner

import (
	"math"
	"strings"

	"finetune/head"
)

// predictAll predicts every readable photograph: valid, test and train, in
// this order, by the centre view.
func (l *Learner) predictAll(h *head.Head, f *Features) ([]Prediction, error) {
	var rows []Prediction
	for _, p := range []struct {
		name string
		s    split
	}{{"valid", f.Valid}, {"test", f.Test}, {"train", f.Train}} {
		logp, err := h.Predict(p.s.rows)
		if err != nil {
			return nil, err
		}
		rows = append(rows, predictions(p.name, p.s, logp, len(l.Set.Classes))...)
	}
	return rows, nil
}

func predictions(name string, s split, logp []float32, classes int) []Prediction {
	rows := make([]Prediction, len(s.items))
	for i, it := range s.items {
		lp := logp[i*classes : (i+1)*classes]
		rows[i] = Prediction{Split: name, Path: it.Path, Label: it.Label, Labels: it.Labels, Predicted: argmax(lp), LogProb: lp}
	}
	return rows
}

func argmax(v []float32) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}

// above lists the classes with a probability over one half.
func above(logp []float32) []int {
	var out []int
	for i, v := range logp {
		if v > float32(-math.Ln2) {
			out = append(out, i)
		}
	}
	return out
}

func classNames(classes []string, labels []int, sep string) string {
	names := make([]string, len(labels))
	for i, c := range labels {
		names[i] = className(classes, c)
	}
	return strings.Join(names, sep)
}

func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }
