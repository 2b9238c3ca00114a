package learner

import (
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/onnxtest"
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
	b.Output(b.Node("ReduceMax", "features", []string{x}, graph.Ints("axes", 2, 3), graph.Int("keepdims", 0)), graph.Float32, "N", 3)
	data, err := b.Model().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.OpenBytes("overflow.onnx", data, []string{"image"}, []string{"features"}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	body := &frozenBody{session: s, name: "overflow.onnx", precision: halfPrecision, size: 2, features: 3}
	defer body.Close()
	images, features := make([]float32, 2*12), make([]float32, 2*3)
	if err := body.Run(t.Context(), images, 2, features); err != nil {
		t.Error(err)
	}
	images[20] = 9
	for precision, want := range map[string]string{halfPrecision: "use float32", fullPrecision: "--mean, --std"} {
		body.precision = precision
		if err := body.Run(t.Context(), images, 2, features); err == nil || !strings.Contains(err.Error(), "overflow.onnx gives ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", precision, err)
		}
	}
}

// A network that breaks an operator's definition is refused before our own code
// takes it apart.
func TestMalformedBodyIsNamed(t *testing.T) {
	onnxtest.Start(t)
	b := graph.NewBuilder("malformed", 17)
	x := b.Node("Conv", "conv", []string{b.Input("image", graph.Float32, "N", 3, 8, 8), b.Init("w", []int64{2, 3, 1, 1}, make([]float32, 6))})
	short := b.Node("Add", "short", []string{x}) // of two
	b.Output(b.Node("GlobalAveragePool", "pool", []string{short}), graph.Float32, "N", 2, 1, 1)
	path := filepath.Join(t.TempDir(), "malformed.onnx")
	if err := b.Model().Write(path); err != nil {
		t.Fatal(err)
	}
	l := &Learner{Body: bodies.Body{Path: path, Spec: bodies.Spec{Size: 8, Cut: "short", Channels: 2, Layout: bodies.NCHW}}, ui: quiet{}}
	for _, precision := range []string{halfPrecision, fullPrecision} {
		l.Config.Body.Precision = precision
		_, err := l.featureModel()
		if precision == fullPrecision {
			_, _, err = l.layerGroups()
		}
		if err == nil || !strings.Contains(err.Error(), "malformed.onnx") {
			t.Errorf("%s: %v", precision, err)
		}
	}
}

// quiet is a UI that says nothing.
type quiet struct{}

func (quiet) Say(string, ...any)                               {}
func (quiet) Warn(string, ...any)                              {}
func (quiet) Header(...string)                                 {}
func (quiet) Row(...string)                                    {}
func (quiet) Progress(string, string) (func(int, int), func()) { return func(int, int) {}, func() {} }
