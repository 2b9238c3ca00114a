package features

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"finetune/augment"
	"finetune/internal/onnxtest"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
)

// A body whose features overflow stops, before they are cached.
func TestFeaturesThatAreNotNumbers(t *testing.T) {
	onnxtest.Start(t)
	b := graph.NewBuilder("overflow", 17)
	huge := b.Init("huge", nil, []float32{3e38})
	x := b.Node("Mul", "", []string{b.Input("image", graph.Float32, "N", 3, 2, 2), huge})
	b.Output(b.Node("ReduceMax", "features", []string{x}, graph.Ints("axes", 2, 3), graph.Int("keepdims", 0)),
		graph.Float32, "N", 3)
	data, err := b.Model().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.OpenBytes("overflow.onnx", data, []string{"image"}, []string{"features"}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	body := &frozenBody{session: s, name: "overflow.onnx", precision: runs.Float16, size: 2, features: 3}
	defer body.Close()
	images, features := make([]float32, 2*12), make([]float32, 2*3)
	if err := body.Run(t.Context(), images, 2, features); err != nil {
		t.Error(err)
	}
	images[20] = 9
	for precision, want := range map[string]string{runs.Float16: "use float32", runs.Float32: "--mean, --std"} {
		body.precision = precision
		if err := body.Run(t.Context(), images, 2, features); err == nil ||
			!strings.Contains(err.Error(), "overflow.onnx gives ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", precision, err)
		}
	}
}

// A network that breaks an operator's definition is refused before our own code
// takes it apart.
func TestMalformedBodyIsNamed(t *testing.T) {
	onnxtest.Start(t)
	b := graph.NewBuilder("malformed", 17)
	x := b.Node("Conv", "conv", []string{b.Input("image", graph.Float32, "N", 3, 8, 8),
		b.Init("w", []int64{2, 3, 1, 1}, make([]float32, 6))})
	short := b.Node("Add", "short", []string{x}) // of two
	b.Output(b.Node("GlobalAveragePool", "pool", []string{short}), graph.Float32, "N", 2, 1, 1)
	path := filepath.Join(t.TempDir(), "malformed.onnx")
	if err := b.Model().Write(path); err != nil {
		t.Fatal(err)
	}
	l := &Setup{Session: &SharedBody{}, Narrow: &NarrowPhotos{},
		Body: bodies.Body{Path: path, Spec: bodies.Spec{Size: 8, Cut: "short", Channels: 2, Layout: bodies.NCHW}},
		UI:   uitest.Quiet{}}
	for _, precision := range []config.Precision{runs.Float16} {
		l.Config.Body.Precision = precision
		_, err := l.FeatureModel()
		if err == nil || !strings.Contains(err.Error(), "malformed.onnx") {
			t.Errorf("%s: %v", precision, err)
		}
	}
}

// The copies of a learner that a recipe's steps work with share its body: one
// session, which Close ends.
func TestCopiesShareOneBody(t *testing.T) {
	onnxtest.Start(t)
	body, err := bodies.Resolve("seed:resnet18:7", bodies.Override{})
	if err != nil {
		t.Fatal(err)
	}
	l := &Setup{Session: &SharedBody{}, Narrow: &NarrowPhotos{}, Body: body, UI: uitest.Quiet{}}
	l.Preprocess = augment.Preprocess{Size: 32, Mean: body.Spec.Mean, Std: body.Spec.Std}
	l.Config.Images.Size, l.Config.Machine.Threads = 32, 1
	one, other := *l, *l
	first, err := one.lazy().open()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := other.lazy().open(); again != first || err != nil {
		t.Errorf("a second session (%v)", err)
	}
	if l.Session.opened() != first {
		t.Error("the learner does not know the body of its copies")
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	images, rows := make([]float32, 3*32*32), make([]float32, first.Features())
	if err := first.Run(t.Context(), images, 1, rows); err == nil {
		t.Error("the session is still open")
	}
}
