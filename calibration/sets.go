package calibration

import (
	"fmt"
	"math"
	"slices"
)

// Limits for prediction sets: of each coverage from Least on, in steps of Step, the least
// probability of a class in the set.
type Limits []float32

// Coverages that limits are kept for.
const (
	Least = 0.5
	Most  = 0.995
	step  = 0.005
)

// NewLimits are those of rows that the model was not trained on: for coverage q, the largest
// limit that at least ceil((n+1)q) true classes reach (split conformal prediction with
// the score 1-p: Sadinle et al. 2019). It is 0, every class is in the set, where there are
// too few rows to promise q.
func NewLimits(logp []float32, labels []int, classes int) Limits {
	p := make([]float64, len(labels))
	for i, y := range labels {
		p[i] = math.Exp(float64(logp[i*classes+y]))
	}
	slices.Sort(p)
	out := make(Limits, int(math.Round((Most-Least)/step))+1)
	for k := range out {
		need := int(math.Ceil(float64(len(p)+1)*(Least+step*float64(k)) - 1e-9))
		if need <= len(p) {
			out[k] = float32(math.Nextafter(p[len(p)-need], 0))
		}
	}
	return out
}

// Check refuses what NewLimits does not make.
func (l Limits) Check() error {
	for _, v := range l {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("a limit of %g for prediction sets", v)
		}
	}
	if n := len(NewLimits(nil, nil, 0)); l != nil && len(l) != n {
		return fmt.Errorf("limits for prediction sets: %d, not %d", len(l), n)
	}
	return nil
}

// For is the limit for a coverage from Least to Most: that of the next larger step.
func (l Limits) For(coverage float64) float32 {
	k := int(math.Ceil((coverage-Least)/step - 1e-9))
	return l[min(max(k, 0), len(l)-1)]
}

// Set lists the classes of a row of probabilities that reach the limit.
func Set(p []float32, limit float32) (classes []int) {
	for c, v := range p {
		if v >= limit {
			classes = append(classes, c)
		}
	}
	return classes
}
