package calibration

import (
	"math"
	"testing"

	"finetune/internal/rng"
	"finetune/metrics"
)

// thirds are folds of n rows, three of them.
func thirds(n int) []int {
	of := make([]int, n)
	for i := range of {
		of[i] = i % 3
	}
	return of
}

// TestCrossedTemperaturesAreOfOtherRows: a row's own label has no part in how it is scaled, those of other folds have.
func TestCrossedTemperaturesAreOfOtherRows(t *testing.T) {
	logp, labels := drawn(60, 3, 2)
	of := thirds(60)
	before := Rows{LogP: logp, Labels: labels, Classes: 3}.Crossed(of)
	changed := append([]int(nil), labels...)
	for i, f := range of {
		if f == 1 {
			changed[i] = (labels[i] + 1) % 3
		}
	}
	after := Rows{LogP: logp, Labels: changed, Classes: 3}.Crossed(of)
	for i, f := range of {
		same := before[3*i] == after[3*i] && before[3*i+1] == after[3*i+1]
		if same != (f == 1) {
			t.Errorf("row %d of fold %d: unchanged is %v", i, f, same)
		}
	}
	if r := (Rows{LogP: logp[:0], Classes: 3}).Crossed(nil); len(r) != 0 {
		t.Errorf("%v of no rows", r)
	}
}

// TestCrossedDoesNotFlatter: on few rows of a calibrated model, a temperature that is measured on its own rows
// seems to gain; across folds it does not, on average.
func TestCrossedDoesNotFlatter(t *testing.T) {
	const n, sets = 30, 200
	all, truth := drawn(n*sets, 2, 1)
	raw, own, crossed := 0.0, 0.0, 0.0
	for k := range sets {
		r := Rows{LogP: all[k*n*2 : (k+1)*n*2], Labels: truth[k*n : (k+1)*n], Classes: 2}
		raw += metrics.LogLoss(r.LogP, r.Labels, 2) / sets
		crossed += metrics.LogLoss(r.Crossed(thirds(n)), r.Labels, 2) / sets
		scaled := append([]float32(nil), r.LogP...)
		Scale(scaled, 2, false, r.Temperature())
		own += metrics.LogLoss(scaled, r.Labels, 2) / sets
	}
	if !(own < raw && raw < crossed && crossed < raw+.02) {
		t.Errorf("loss %.4f, with a temperature of the same rows %.4f, of other folds %.4f", raw, own, crossed)
	}
}

// TestRowsOfSeveralLabels: two sigmoids drawn at a temperature ask for it, across folds too.
func TestRowsOfSeveralLabels(t *testing.T) {
	s := rng.New(5)
	r := Rows{Classes: 2}
	for range 6000 {
		z := 4 * s.Normal()
		r.LogP = append(r.LogP, float32(-math.Log1p(math.Exp(-z))))
		y := float32(0)
		if s.Float64() < 1/(1+math.Exp(-z/2)) {
			y = 1
		}
		r.Targets = append(r.Targets, y)
	}
	if got := r.Temperature(); math.Abs(got-2) > .1 {
		t.Errorf("temperature %g, drawn at 2", got)
	}
	before, after := metrics.MultiLogLoss(r.LogP, r.Targets), metrics.MultiLogLoss(r.Crossed(thirds(3000)), r.Targets)
	if after >= before {
		t.Errorf("loss %g, across folds %g", before, after)
	}
}
