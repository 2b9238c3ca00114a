package plots

import (
	"slices"
	"testing"
)

func TestGroupsOfEqualRatesAreOneCurve(t *testing.T) {
	f := Schedule{Groups: []string{"stem", "early", "middle"}, Rates: [][]float64{{1, 2}, {1, 2}, {1, 3}, {1, 3}},
		Momentum: []float64{0.9, 0.9}}
	m := f.merged()
	if want := []string{"stem, early", "middle, group 4"}; !slices.Equal(m.Groups, want) || len(m.Rates) != 2 ||
		m.Rates[1][1] != 3 || len(m.Momentum) != 2 {
		t.Errorf("%+v, want the groups %v", m, want)
	}
}
