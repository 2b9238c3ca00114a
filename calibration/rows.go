package calibration

import "slices"

// Rows are what a model says of photographs that it was not trained on, and what is true of them.
type Rows struct {
	LogP    []float32 // [n, Classes]
	Labels  []int     // [n]; empty where photographs have several labels
	Targets []float32 // [n, Classes] of 0 and 1, of several labels; nil of one
	Classes int
}

// Temperature is that of all rows.
func (r Rows) Temperature() float64 {
	if r.Targets != nil {
		return MultiTemperature(r.LogP, r.Targets, r.Classes)
	}
	return Temperature(r.LogP, r.Labels, r.Classes)
}

// Crossed are the log-probabilities [n, Classes] of rows in folds [n], each scaled by the temperature
// of the other folds. What is measured on them is of photographs that their temperature has not seen:
// it does not flatter a temperature that is chosen on the same rows.
func (r Rows) Crossed(folds []int) []float32 {
	out := slices.Clone(r.LogP)
	for fold := range slices.Max(append([]int{-1}, folds...)) + 1 {
		t := r.without(folds, fold).Temperature()
		for i, f := range folds {
			if f == fold {
				Scale(out[i*r.Classes:(i+1)*r.Classes], r.Classes, r.Targets != nil, t)
			}
		}
	}
	return out
}

// without are the rows of all folds but one.
func (r Rows) without(folds []int, fold int) Rows {
	rest := Rows{Classes: r.Classes}
	for i, f := range folds {
		if f == fold {
			continue
		}
		lo, hi := i*r.Classes, (i+1)*r.Classes
		rest.LogP = append(rest.LogP, r.LogP[lo:hi]...)
		if r.Targets != nil {
			rest.Targets = append(rest.Targets, r.Targets[lo:hi]...)
		} else {
			rest.Labels = append(rest.Labels, r.Labels[i])
		}
	}
	if r.Targets != nil && rest.Targets == nil {
		rest.Targets = []float32{}
	}
	return rest
}
