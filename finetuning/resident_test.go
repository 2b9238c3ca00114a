package finetuning

import (
	"math"
	"slices"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx/artifacts"
	"finetune/onnx/weights"
)

// TestResident: a trainer whose tensors stay in the device's memory gives what
// one does whose tensors are Go's, with parts of a batch, after Load and Restore
// too. On a CPU, through the same bindings as a GPU's, it gives the same bytes;
// FINETUNE_TEST_DEVICE=cuda is compared with the CPU by rounding.
func TestResident(t *testing.T) {
	dir := write(t, "resnet18", func(o *artifacts.Options) { o.Optimizer = artifacts.AdamW })
	var states [2][]weights.Tensor
	var seen [2][]float32
	for i, device := range []string{"cpu", onnxtest.Device()} {
		tr := open(t, dir, Options{Seed: 3, Threads: 1, MicroBatch: 2, Device: device, NoTF32: true, resident: i == 1})
		step := func(k, n int) {
			t.Helper()
			x, y := batch(uint64(k), n)
			if h, err := tr.Memory(len(x)); err != nil || (h != nil) != (tr.device != nil) {
				t.Fatal(h, err)
			} else if h != nil { // as learner's batches are
				defer h.Close()
				copy(h.Data, x)
				x = h.Data
			}
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
	bound := 0.0 // of the difference, as a share of the whole
	if onnxtest.Device() != "cpu" {
		bound = 0.02 // AdamW makes steps of equal size of gradients that are all but 0
	}
	if d := distance(seen[0], seen[1]); !(d <= bound) {
		t.Errorf("losses, norms and logits differ by %g: %v and %v", d, seen[0], seen[1])
	}
	for i, want := range states[0] {
		got := states[1][i]
		if d := distance(want.Data, got.Data); got.Name != want.Name || !(d <= bound) || !slices.Equal(got.Ints, want.Ints) {
			t.Errorf("%s differs by %g", want.Name, d)
		}
	}
}

// distance is |a-b| / |a|, 0 for equal bytes.
func distance(a, b []float32) float64 {
	if slices.Equal(a, b) {
		return 0
	}
	if len(a) != len(b) {
		return math.Inf(1)
	}
	apart, whole := 0.0, 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		apart, whole = apart+d*d, whole+float64(a[i])*float64(a[i])
	}
	return math.Sqrt(apart / whole)
}

func state(t testing.TB, tr *Trainer) []weights.Tensor {
	t.Helper()
	s, err := tr.State()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
