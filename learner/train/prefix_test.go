package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"finetune/activations"
	"finetune/internal/onnxtest"
	"finetune/internal/photos"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/onnx/artifacts"
	"finetune/onnx/weights"
)

// testMachine is the processor, with a home and a cache of the test's own.
func testMachine(t *testing.T) runs.Machine {
	t.Helper()
	onnxtest.Start(t)
	onnxtest.Home(t, "cpu", t.TempDir())
	return runs.Machine{Device: "cpu", Threads: 2, Workers: 2, Cache: t.TempDir()}
}

// prefixRun trains the network behind its first group for two epochs and
// returns its weights and the logarithms of its probabilities. Artifacts that
// lie in dir already are used as they are.
func prefixRun(t *testing.T, data, cache, dir string, fresh bool) (w []weights.Tensor, logp []float32) {
	t.Helper()
	l := prefixTraining(t, data, cache)
	fit, m, err := l.newFullFit(t.Context(), dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := fit.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if logp, err = m.Predict(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w, err = m.Weights(); err != nil {
		t.Fatal(err)
	}
	return w, logp
}

func prefixTraining(t *testing.T, data, cache string) *training {
	t.Helper()
	l, err := features.Open(t.Context(), runs.Config{
		Data: runs.DataConfig{Path: data}, Body: runs.BodyConfig{Name: "seed:resnet18:7", Precision: "float32"},
		Images:  runs.Images{Size: 64, Augment: "none", MaxZoom: 1.1, Crop: "random"},
		Machine: runs.Machine{Device: "cpu", Threads: 2, Workers: 2, Cache: cache},
		Train: runs.Training{BatchSize: 8, LR: .01, Schedule: "constant", Epochs: 2, Momentum: .9, Optimiser: "sgd",
			Hidden: config.Widths{16}, Dropout: config.Shares{0, 0},
			Unfreeze: true, FreezeTo: 1},
	}, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f, err := l.Precompute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &training{Setup: l, features: f}
}

// TestCachedPrefix: what the frozen layers make of a photograph may come from
// the cache. Training then ends where it ends with those layers in the graph,
// up to float32, and in the same bytes each time.
func TestCachedPrefix(t *testing.T) {
	machine := testMachine(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	for part, n := range map[string]int{"train": 8, "valid": 4} {
		if err := photos.Write(filepath.Join(data, part), []string{"circle", "square"}, n); err != nil {
			t.Fatal(err)
		}
	}
	l := prefixTraining(t, data, machine.Cache)
	o, err := artifactOptions(l.Setup, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(dir, "whole")
	if _, err := artifacts.Write(whole, o); err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(dir, "cache")
	want, wantP := prefixRun(t, data, cache, whole, false)
	got, gotP := prefixRun(t, data, cache, filepath.Join(dir, "cut"), true)
	moved, apart := 0.0, 0.0
	first, _, err := weights.ReadSafetensors(filepath.Join(whole, artifacts.CheckpointFile))
	if err != nil {
		t.Fatal(err)
	}
	from, to := weights.ByName(first), weights.ByName(want)
	for _, g := range got {
		for i, v := range to[g.Name].Data {
			moved += sq(v - from[g.Name].Data[i])
			apart += sq(v - g.Data[i])
		}
	}
	if len(got) != len(want) || moved == 0 {
		t.Fatalf("%d weights, %d with the whole network", len(got), len(want))
	}
	t.Logf("weights %.2g apart, relative to how far they moved", math.Sqrt(apart/moved))
	if d := math.Sqrt(apart / moved); !(d < 1e-3) {
		t.Errorf("weights end %g from those of the whole network, relative to how far they moved", d)
	}
	for i, v := range gotP {
		if math.Abs(float64(v-wantP[i])) > 1e-3 {
			t.Fatalf("log-probability %d is %g, with the whole network %g", i, v, wantP[i])
		}
	}
	again, againP := prefixRun(t, data, cache, filepath.Join(dir, "again"), true)
	same(t, "a second run", got, again, gotP, againP)

	// resumed where the rows are gone but for those of a fill that was stopped
	elsewhere := filepath.Join(dir, "elsewhere")
	stopFill(t, data, elsewhere, filepath.Join(dir, "cut"))
	resumed, resumedP := prefixRun(t, data, elsewhere, filepath.Join(dir, "cut"), false)
	same(t, "a run after a stopped fill", got, resumed, gotP, resumedP)

	list, err := activations.List(cache)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(list, func(e activations.Entry) bool {
		return e.Key.View == features.PrefixView &&
			e.Rows > 0
	}) {
		t.Errorf("the cache lists %+v", list)
	}
}

func sq(v float32) float64 { return float64(v) * float64(v) }

func same(t *testing.T, what string, a, b []weights.Tensor, p, q []float32) {
	t.Helper()
	other := weights.ByName(b)
	for _, x := range a {
		if !slices.Equal(x.Data, other[x.Name].Data) {
			t.Fatalf("%s: %s differs", what, x.Name)
		}
	}
	if !slices.Equal(p, q) {
		t.Errorf("%s: log-probabilities differ", what)
	}
}

// stopFill begins to fill the prefix's cache and stops after the first rows.
func stopFill(t *testing.T, data, cache, dir string) {
	t.Helper()
	l := prefixTraining(t, data, cache)
	m, err := artifacts.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	part, err := l.OpenPrefix(t.Context(), dir, m, l.features.Train.Items[:5])
	if err != nil {
		t.Fatal(err)
	}
	if part.Len() != 5 {
		t.Errorf("%d rows, want 5", part.Len())
	}
	part.Close()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := l.OpenPrefix(ctx, dir, m, l.features.Train.Items); err == nil {
		t.Error("a stopped fill is no error")
	}
}

// TestPrefixWithoutRoom: augmentation, or a network that trains from its first
// layer, leaves the graph whole.
func TestPrefixWithoutRoom(t *testing.T) {
	machine := testMachine(t)
	dir := t.TempDir()
	for part, n := range map[string]int{"train": 4, "valid": 4} {
		if err := photos.Write(filepath.Join(dir, "data", part), []string{"circle", "square"}, n); err != nil {
			t.Fatal(err)
		}
	}
	l := prefixTraining(t, filepath.Join(dir, "data"), machine.Cache)
	cut := func(photographs int) bool {
		o, err := artifactOptions(l.Setup, 2, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.cutPrefix(&o, photographs); err != nil {
			t.Fatal(err)
		}
		return o.Prefix != nil
	}
	if !cut(8) {
		t.Error("8 photographs are not cached")
	}
	if cut(1 << 40) {
		t.Error("2^40 photographs are to be cached; no disk has room for them")
	}
	l.Config.Images.Augment = "side-on"
	if cut(8) {
		t.Error("cached under augmentation")
	}
	l.Config.Images.Augment, l.Config.Train.FreezeTo = "none", 0
	if cut(8) {
		t.Error("cached with no frozen layer")
	}
	l.Config.Train.FreezeTo = 2
	if !cut(8) {
		t.Error("a head alone is not cached")
	}
}
