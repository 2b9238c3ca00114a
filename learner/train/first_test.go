package train

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"finetune/internal/photos"
	"finetune/learner/config"
	"finetune/learner/runs"
	"finetune/onnx/weights"
)

// TestGentleBeginsAtTheLinearHead: the network says at step 0 what a linear head on the frozen body's features says.
// Its statistics stay while it trains, and are among the weights that are kept.
func TestGentleBeginsAtTheLinearHead(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for part, n := range map[string]int{"train": 8, "valid": 6} {
		if err := photos.Write(filepath.Join(data, part), []string{"circle", "square"}, n); err != nil {
			t.Fatal(err)
		}
	}
	machine := testMachine(t)
	tr := prefixTraining(t, data, machine.Cache)
	alone, err := tr.With("none", func(_ *runs.Images, c *runs.Training) {
		c.Unfreeze, c.FreezeTo, c.Head = false, 0, "linear"
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Trial(t.Context(), alone, tr.features, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, stays := range []bool{true, false} {
		config.Gentle(&tr.Config.Train)
		tr.Config.Train.FreezeTo, tr.Config.Train.BNFreeze = 0, stays
		f, m, err := tr.newFullFit(t.Context(), filepath.Join(t.TempDir(), "artifacts"), true)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		got, err := m.Predict(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range want[0] {
			if math.Abs(float64(got[i]-v)) > 1e-3 {
				t.Fatalf("statistics stay %v: log-probability %d is %g at step 0, %g of the linear head", stays, i, got[i], v)
			}
		}
		statistics := func() []float32 {
			h, err := tr.headOf(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range h.State() {
				if x.Name == "0.running_mean" {
					return x.Data
				}
			}
			return nil
		}
		before := statistics()
		if err := f.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := statistics(); len(after) == 0 || slices.Equal(before, after) != stays {
			t.Errorf("statistics stay %v, the mean of the features did not or did move", stays)
		}
		list, err := m.Weights()
		if err != nil {
			t.Fatal(err)
		}
		if have := weights.ByName(list); len(have["head.0.running_var"].Data) == 0 {
			t.Errorf("statistics stay %v: the checkpoint does not have them", stays)
		}
	}
}
