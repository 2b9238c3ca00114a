package fit

import (
	"math"
	"slices"
	"testing"

	"finetune/learner/runs"
)

// TestRatesOfBlocks: each block learns slower than the next, norms behind the last as the head; of fewer rates than
// groups each takes an equal run.
func TestRatesOfBlocks(t *testing.T) {
	for _, c := range []struct{ got, want []float64 }{
		{decayedRates(1, .5, 5, []string{"embed", "block1", "block2", "norm", "head"}), []float64{.125, .25, .5, 1, 1}},
		{decayedRates(8, .5, 4, []string{"block2", "head"}), []float64{1, 2, 4, 8}}, // the first two are frozen
		{spreadRates([]float64{1, 2, 3}, 8), []float64{1, 1, 1, 1, 2, 2, 2, 3}},
		{spreadRates([]float64{1, 2, 3, 4}, 4), []float64{1, 2, 3, 4}},
		{WithGroupRates(runs.Training{LRs: []float64{3}}, 3, nil).LRs, []float64{3, 3, 3}},
		{WithGroupRates(runs.Training{LRs: []float64{1, 2}}, 3, nil).LRs, []float64{1, 2}}, // of the groups that train
		{WithGroupRates(runs.Training{LRs: []float64{1, 2}}, 5, nil).LRs, []float64{1, 1, 1, 1, 2}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
}

func TestGroupRates(t *testing.T) {
	for _, want := range [][]float64{{1}, {0.1, 1}, {0.01, 0.1, 1}, {0.01, 0.1 / math.Sqrt(10), 0.1, 1}} {
		got := groupRates(1, len(want))
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-15 {
				t.Errorf("%d groups: %v, want %v", len(want), got, want)
				break
			}
		}
	}
	if got := groupRates(3e-2, 3); got[0] != 3e-2/100 || got[1] != 3e-2/10 { // to the bit: runs of earlier versions go on
		t.Errorf("%v", got)
	}
}
