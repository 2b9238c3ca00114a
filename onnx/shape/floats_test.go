package shape_test

import (
	"slices"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/shape"
)

// TestSizesComputedInFloats: the side of a square by a root, a range up to a height, a branch that the shapes decide.
func TestSizesComputedInFloats(t *testing.T) {
	b := graph.NewBuilder("floats", 17)
	x := b.Input("x", graph.Float32, "N", 9, 4)
	one := func(v float32) string { return b.Init("", nil, []float32{v}) }
	cast := func(x string, to int32) string { return b.Node("Cast", "", []string{x}, graph.Int("to", int64(to))) }
	count := b.Node("Gather", "", []string{b.Node("Shape", "", []string{x}), b.Ints("", nil, []int64{1})})
	root := b.Node("Pow", "", []string{cast(count, graph.Float32), one(.5)})
	side := b.Node("Unsqueeze", "", []string{cast(root, graph.Int64), b.Ints("", []int64{1}, []int64{0})})
	size := b.Node("Concat", "", []string{b.Ints("", []int64{1}, []int64{-1}), side, side,
		b.Ints("", []int64{1}, []int64{4})}, graph.Int("axis", 0))
	b.Output(b.Node("Reshape", "square", []string{x, size}), graph.Float32)
	b.Output(b.Node("Range", "places", []string{one(.5), root, one(1)}), graph.Float32)
	b.Output(b.Node("Range", "thirds", []string{one(0), one(1), one(.3)}), graph.Float32)
	got, err := shape.Shapes(b.Model(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int64{"square": {-1, 3, 3, 4}, "places": {3}, "thirds": {4}} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s has shape %v, want %v", name, got[name], want)
		}
	}
}
