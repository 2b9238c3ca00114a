package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// block is a stem, a residual convolution and pooled features: image -> stem -> x; x + conv(x) -> sum -> features.
func block(t *testing.T) *graph.Model {
	t.Helper()
	b := graph.NewBuilder("block", 17)
	ones := func(n int) []float32 { return slices.Repeat([]float32{1}, n) }
	x := b.Node("Conv", "stem",
		[]string{b.Input("image", graph.Float32, "N", 3, 8, 8), b.Init("stem.weight", []int64{4, 3, 1, 1}, ones(12))})
	x = b.Node("Relu", "x", []string{x})
	y := b.Node("Conv", "inner", []string{x, b.Init("inner.weight", []int64{4, 4, 1, 1}, ones(16))})
	y = b.Node("Conv", "outer", []string{y, b.Init("outer.weight", []int64{4, 4, 1, 1}, ones(16))})
	b.Output(b.Node("Add", "sum", []string{x, y}), graph.Float32, "N", 4, 8, 8)
	m, err := surgery.Features(b.Model(), "sum")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFrontiers(t *testing.T) {
	m := block(t)
	for _, tt := range []struct {
		trainable []string
		want      []string
	}{
		{[]string{"stem.weight"}, []string{"image"}},
		{[]string{"inner.weight"}, []string{"x"}},
		{[]string{"outer.weight"}, []string{"inner", "x"}}, // the sum reads x past the frozen layer
		{nil, []string{"features"}},
	} {
		got, err := surgery.FrozenOutputs(m, tt.trainable)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("frontiers of %v: %v, %v; want %v", tt.trainable, got, err, tt.want)
		}
	}
}

func TestAfter(t *testing.T) {
	m := block(t)
	rest, err := surgery.After(m, "x", []int64{4, 8, 8})
	if err != nil {
		t.Fatal(err)
	}
	if in := rest.Inputs()[0]; in.Name != "x" || !slices.Equal(in.Shape[1:], []int64{4, 8, 8}) {
		t.Errorf("input %+v", in)
	}
	if rest.Initializers()["stem.weight"] != nil || rest.Initializers()["inner.weight"] == nil {
		t.Error("it keeps the weights before x, or not those behind it")
	}
	none, err := surgery.After(m, surgery.FeaturesName, []int64{8})
	if err != nil || len(none.Graph.Node) != 1 || none.Outputs()[0].Name != surgery.FeaturesName {
		t.Errorf("after the output: %v, %v", none, err)
	}
	if _, err := surgery.After(m, "inner", []int64{4, 8, 8}); err == nil || !strings.Contains(err.Error(), `"image"`) {
		t.Errorf("x is needed too: %v", err)
	}
	if _, err := surgery.After(m, "nowhere", nil); err == nil {
		t.Error("starts at a tensor that nothing makes")
	}
}
