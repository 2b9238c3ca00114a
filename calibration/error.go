package calibration

import (
	"cmp"
	"math"
	"slices"

	"finetune/internal/rng"
	"finetune/metrics"
)

const (
	errorBins = 15  // of equal size
	leastRows = 10  // of a bin; of few rows there are fewer bins
	draws     = 100 // of what chance shows
)

// Error is the expected calibration error: rows are sorted by the probability of the most
// probable class into 15 bins of equal size, fewer where these would have less than ten rows,
// and it is the mean over rows of the distance between a bin's mean probability and its
// share of right rows. byChance is what a perfectly calibrated model with these
// probabilities would show on so few rows: an error near it is noise. Both
// are 0 of no rows. Source: Guo et al. 2017, equation 3, with equal masses.
func Error(logp []float32, labels []int, classes int) (ece, byChance float64) {
	n := len(labels)
	if n == 0 {
		return 0, 0
	}
	sure, right, order := make([]float64, n), make([]bool, n), make([]int, n)
	for i, best := range metrics.Argmax(logp, classes) {
		sure[i], right[i], order[i] = math.Exp(float64(logp[i*classes+best])), best == labels[i], i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sure[a], sure[b]) })
	ece = binned(order, sure, func(i int) bool { return right[i] })
	random := rng.New(rng.Text("calibration.chance"))
	for range draws {
		byChance += binned(order, sure, func(i int) bool { return random.Float64() < sure[i] }) / draws
	}
	return ece, byChance
}

// binned is the error of rows in the given order.
func binned(order []int, sure []float64, right func(i int) bool) (ece float64) {
	n := len(order)
	bins := min(errorBins, max(n/leastRows, 1))
	for b := range bins {
		gap := 0.0
		for _, i := range order[b*n/bins : (b+1)*n/bins] {
			gap += sure[i]
			if right(i) {
				gap--
			}
		}
		ece += math.Abs(gap) / float64(n)
	}
	return ece
}
