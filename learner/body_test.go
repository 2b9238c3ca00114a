package learner

import (
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
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
		if err := body.Run(t.Context(), images, 2, features); err == nil || !strings.Contains(err.Error(), "overflow.onnx gives +Inf") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", precision, err)
		}
	}
}
