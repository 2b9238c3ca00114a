package train

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"finetune/internal/photos"
)

// TestReestimate: running statistics become the mean of the batches', whatever
// their momentum was while training, and a step of one batch at a momentum of 1
// has that batch's.
func TestReestimate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for part, n := range map[string]int{"train": 8, "valid": 4} {
		if err := photos.Write(filepath.Join(data, part), []string{"circle", "square"}, n); err != nil {
			t.Fatal(err)
		}
	}
	machine := testMachine(t)
	after := func(momentum float64, micro int, batches [][]int) map[string][]float32 {
		t.Helper()
		l := prefixTraining(t, data, machine.Cache)
		l.Config.Train.FreezeTo, l.Config.Train.BNMomentum, l.Config.Train.MicroBatch = 0, momentum, micro
		_, m, err := l.newFullFit(t.Context(), filepath.Join(t.TempDir(), "artifacts"), true)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := m.Reestimate(t.Context(), slices.Values(batches)); err != nil {
			t.Fatal(err)
		}
		stats, err := m.trainer.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return stats
	}
	a, b := []int{0, 1, 2, 3, 8, 9}, []int{4, 5, 6, 7, 10, 11}
	three := []int{0, 1, 8} // one run, though a micro-batch of 2 asks for two
	first, second, alone := after(1, 0, [][]int{a}), after(1, 0, [][]int{b}), after(1, 0, [][]int{three})
	for _, c := range []struct {
		name string
		got  map[string][]float32
		x, y map[string][]float32 // of which got is the mean
	}{
		{"one batch", after(0.1, 0, [][]int{a}), first, first},
		{"two batches", after(0.3, 0, [][]int{a, b}), first, second},
		{"one batch in two runs", after(1e-4, 6, [][]int{append(a, b...)}), first, second},
		{"three photographs in one run", after(0.1, 2, [][]int{three}), alone, alone},
	} {
		for name, x := range c.x {
			for i := range x {
				want, got := (x[i]+c.y[name][i])/2, c.got[name][i]
				if math.Abs(float64(got-want)) > 1e-3*(1+math.Abs(float64(want))) {
					t.Fatalf("%s: %s[%d] is %v, not %v", c.name, name, i, got, want)
				}
			}
		}
	}
}
