package columns

import (
	"slices"
	"testing"
)

func TestMoments(t *testing.T) {
	mean, variance := Moments([][]float32{{1, 5, -2}, {3, 5, 0}, {5, 5, 2}, {7, 5, 4}})
	if want := []float64{4, 5, 1}; !slices.Equal(mean, want) {
		t.Errorf("means %v, want %v", mean, want)
	}
	if want := []float64{5, 0, 5}; !slices.Equal(variance, want) {
		t.Errorf("variances %v, want %v", variance, want)
	}
}
