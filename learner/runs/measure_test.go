package runs

import (
	"math"
	"testing"

	"finetune/dataset"
	"finetune/metrics"
)

// The interval counts photographs, however many decisions each of them asks for.
func TestIntervalsCountPhotographs(t *testing.T) {
	yes, no := float32(math.Log(.9)), float32(math.Log(.1))
	items := []dataset.Item{{Labels: []int{0, 2}}, {Labels: []int{1}}}
	s := Measure([]float32{yes, no, no, no, yes, no}, items, 3, true)
	if lo, hi := metrics.Wilson(5./6, 2); math.Abs(s.Accuracy-5./6) > 1e-9 || s.Interval != [2]float64{lo, hi} {
		t.Errorf("several labels: %+v, want %g to %g", s, lo, hi)
	}
	items = []dataset.Item{{Label: 0}, {Label: 1}}
	s = Measure([]float32{yes, no, no, yes, no, no}, items, 3, false)
	if lo, hi := metrics.Wilson(.5, 2); s.Accuracy != .5 || s.Interval != [2]float64{lo, hi} {
		t.Errorf("one label: %+v, want %g to %g", s, lo, hi)
	}
}
