package finetuning

import (
	"slices"
	"testing"

	"finetune/onnx/artifacts"
	"finetune/onnx/weights"
)

// TestResident: a trainer whose tensors stay in the device's memory (here the
// CPU's, through the same bindings as a GPU's) gives the bytes of one whose
// tensors are Go's, with parts of a batch, after Load and Restore too.
func TestResident(t *testing.T) {
	dir := write(t, "resnet18", func(o *artifacts.Options) { o.Optimizer = artifacts.AdamW })
	var states [2][]weights.Tensor
	var seen [2][]float32
	for i, resident := range []bool{false, true} {
		tr := open(t, dir, Options{Seed: 3, Threads: 1, MicroBatch: 2, resident: resident})
		step := func(k, n int) {
			t.Helper()
			x, y := batch(uint64(k), n)
			loss, logits, err := tr.Step(x, y, Rates{Rates: []float64{1e-4, 1e-3, 1e-3}, Momentum: 0.9, Clip: 1})
			if err != nil {
				t.Fatal(err)
			}
			seen[i] = append(append(seen[i], float32(loss), float32(tr.Norm())), logits...)
		}
		step(0, 7)
		step(1, 2)
		loaded, err := tr.Weights()
		if err != nil {
			t.Fatal(err)
		}
		name := tr.params()[0]
		loaded[name][0] += 0.25
		if err := tr.Load(map[string][]float32{name: loaded[name]}); err != nil {
			t.Fatal(err)
		}
		step(2, 5)
		middle := state(t, tr)
		step(3, 4)
		if err := tr.Restore(middle); err != nil {
			t.Fatal(err)
		}
		step(3, 4)
		x, _ := batch(9, 3)
		logits, err := tr.Predict(x)
		if err != nil {
			t.Fatal(err)
		}
		seen[i] = append(seen[i], logits...)
		states[i] = state(t, tr)
	}
	if !slices.Equal(seen[0], seen[1]) {
		t.Errorf("losses, norms and logits differ: %v and %v", seen[0], seen[1])
	}
	for i, want := range states[0] {
		if got := states[1][i]; got.Name != want.Name || !slices.Equal(got.Data, want.Data) || !slices.Equal(got.Ints, want.Ints) {
			t.Errorf("%s differs", want.Name)
		}
	}
}

func state(t testing.TB, tr *Trainer) []weights.Tensor {
	t.Helper()
	s, err := tr.State()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
