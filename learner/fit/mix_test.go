package fit

import (
	"testing"

	"finetune/learner/runs"
	"finetune/onnx/weights"
)

// TestMix: what is kept lies on the line from the first weights to those that would be kept without it, the best or the
// last ones; statistics that move are measured again.
func TestMix(t *testing.T) {
	start := []weights.Tensor{{Name: "w", Shape: []int64{1}, Data: []float32{2}}}
	for _, c := range []struct {
		name   string
		config runs.Training
		want   float32
		fixed  int
	}{
		{"the last", runs.Training{Mix: 0.25}, 2 + (10-2)*.25, 1},
		{"the last, statistics stay", runs.Training{Mix: 0.25, BNFreeze: true}, 4, 0},
		{"the best", runs.Training{Mix: 0.5, Best: true, BNFreeze: true}, 2 + (6-2)*.5, 0},
		{"all of it", runs.Training{Mix: 1}, 10, 0},
		{"no share", runs.Training{}, 10, 0},
	} {
		c.config.Schedule, c.config.Epochs, c.config.LR = "constant", 2, .1
		m := &fakeModel{script: []float32{6, 10}, accuracy: []float64{1, .5}}
		f := newFakeFit(c.config, m, 8)
		f.Start = start
		if err := f.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m.weight != c.want || m.fixed != c.fixed {
			t.Errorf("%s: weight %g, measured again %d times; want %g, %d", c.name, m.weight, m.fixed, c.want, c.fixed)
		}
	}
}
