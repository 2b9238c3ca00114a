package shape_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// TestIntegersThatAreNotKnown: beside those that follow from shapes; what is known of their shape stays.
func TestIntegersThatAreNotKnown(t *testing.T) {
	b := graph.NewBuilder("values", 17)
	ints := func(v ...int64) string { return b.Ints("", []int64{int64(len(v))}, v) }
	x := b.Input("x", graph.Float32, "N", 3, 8, 6)
	at := b.Input("at", graph.Int64, 2)
	all := b.Node("Shape", "all", []string{x})
	b.Node("Gather", "one of a sum", []string{b.Node("Add", "", []string{all, ints(1)}), ints(1, 3)})
	b.Node("Gather", "somewhere", []string{ints(5, 6, 7), at})
	b.Node("Gather", "of floats", []string{b.Init("floats", []int64{2}, []float32{1, 2}), ints(0)})
	b.Node("Reshape", "open batch",
		[]string{x, b.Node("Concat", "", []string{b.Node("Gather", "batch", []string{all, ints(0)}), ints(3, 48)},
			graph.Int("axis", 0))})
	b.Node("Reshape", "open rest", []string{x, b.Node("Concat", "", []string{"batch", ints(-1)}, graph.Int("axis", 0))})
	b.Node("Reshape", "bare", []string{ints(9), ints()})
	b.Node("Reshape", "same", []string{ints(9, 8), ints(-1)})
	b.Node("Identity", "copy", []string{"same"})
	b.Node("Add", "scalars", []string{"bare", "bare"})
	b.Node("Max", "largest", []string{ints(1, 2), ints(3)})
	b.Node("Add", "misfit", []string{ints(1, 2), ints(1, 2, 3)})
	b.Node("Add", "empty and one", []string{ints(), ints(1)})
	b.Node("Add", "one and empty", []string{ints(1), ints()})
	b.Node("Slice", "backwards", []string{ints(1, 2, 3), ints(-1), ints(-9), ints(0), ints(-1)})
	b.Node("Slice", "none of it", []string{ints(1, 2, 3), ints(2), ints(1)})
	b.Node("Concat", "with unknown", []string{ints(1), at}, graph.Int("axis", 0))
	many := slices.Repeat([]int64{4}, 256)
	b.Node("Identity", "list of 256", []string{ints(many...)})
	b.Node("Identity", "list of 257", []string{ints(append(many, 4)...)})
	b.Node("Concat", "long", []string{"list of 256", ints(1)}, graph.Int("axis", 0))
	b.Ints("matrix", []int64{1, 2}, []int64{1, 2})
	value := func(v float32) graph.Attr {
		return graph.Tensor("value", graph.FloatTensor("", []int64{1}, []float32{v}))
	}
	four := graph.Tensor("value", graph.IntTensor("", []int64{1}, []int64{4}))
	b.Node("ConstantOfShape", "zeros", []string{ints(2)})
	b.Node("ConstantOfShape", "ones", []string{ints(2)}, value(1))
	b.Node("ConstantOfShape", "square", []string{ints(2, 2)}, four)
	b.Node("ConstantOfShape", "of two values", []string{ints(2)},
		graph.Tensor("value", graph.IntTensor("", []int64{2}, []int64{4, 5})))
	b.Node("ConstantOfShape", "256 fours", []string{ints(256)}, four)
	b.Node("ConstantOfShape", "257 fours", []string{ints(257)}, four)
	b.Node("ConstantOfShape", "empty", []string{ints(0)}, four)
	b.Node("Constant", "tensor of two", nil, graph.Tensor("value", graph.IntTensor("", []int64{2}, []int64{3, 4})))
	shapes, values, err := shape.Infer(b.Model(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ value, shape []int64 }{
		"one of a sum": {[]int64{4, 7}, []int64{2}}, "somewhere": {nil, []int64{2}}, "of floats": {nil, []int64{1}},
		"open batch": {nil, []int64{-1, 3, 48}}, "open rest": {nil, []int64{-1, 144}},
		"bare": {[]int64{9}, []int64{}}, "same": {[]int64{9, 8}, []int64{2}}, "copy": {[]int64{9, 8}, []int64{2}},
		"scalars": {[]int64{18}, []int64{}},
		"largest": {[]int64{3, 3}, []int64{2}},
		"misfit":  {nil, []int64{-1}}, "backwards": {[]int64{3, 2, 1}, []int64{3}},

		"none of it":    {[]int64{}, []int64{0}},
		"empty and one": {nil, []int64{0}}, "one and empty": {nil, []int64{0}},
		"with unknown": {nil, []int64{3}}, "list of 256": {many, []int64{256}}, "list of 257": {nil, []int64{257}},
		"long":   {nil, []int64{257}},
		"matrix": {[]int64{1, 2}, []int64{1, 2}},
		"zeros":  {nil, []int64{2}}, "ones": {nil, []int64{2}},
		"square":        {[]int64{4, 4, 4, 4}, []int64{2, 2}},
		"of two values": {nil, []int64{2}},
		"256 fours":     {many, []int64{256}}, "257 fours": {nil, []int64{257}}, "empty": {[]int64{}, []int64{0}},
		"tensor of two": {[]int64{3, 4}, []int64{2}},
	} {
		v, known := values[name]
		if known != (want.value != nil) || !slices.Equal(v, want.value) {
			t.Errorf("%s is %v, want %v", name, v, want.value)
		}
		if s, ok := shapes[name]; !ok || !slices.Equal(s, want.shape) {
			t.Errorf("%s has shape %v, want %v", name, s, want.shape)
		}
	}
}

// branchOf is a graph inside a node, with the outputs named.
func branchOf(nodes []*onnxpb.NodeProto, outputs ...string) *onnxpb.GraphProto {
	g := &onnxpb.GraphProto{Name: proto.String("branch"), Node: nodes}
	for _, o := range outputs {
		g.Output = append(g.Output, &onnxpb.ValueInfoProto{Name: &o})
	}
	return g
}

// TestShapesOfBranches: a size in which the branches differ is open, a rank in which they do is unknown.
func TestShapesOfBranches(t *testing.T) {
	b := graph.NewBuilder("branches", 17)
	yes := b.Input("yes", graph.Bool)
	b.Input("x", graph.Float32, 2, 3)
	b.Input("longer", graph.Float32, 2, 4)
	same, wider := node("Relu", []string{"x"}, []string{"a"}), node("Relu", []string{"longer"}, []string{"a2"})
	deeper := node("Unsqueeze", []string{"x"}, []string{"b2"})
	deeper.Attribute = []graph.Attr{graph.Ints("axes", 0)}
	bare := node("Constant", nil, []string{"c"})
	bare.Attribute = []graph.Attr{graph.Int("value_int", 1)}
	odd := node("Odd", []string{"x"}, []string{"c2"})
	late := node("Relu", []string{"x"}, []string{"d"})
	then := branchOf([]*onnxpb.NodeProto{same, bare, late}, "a", "a", "c", "a", "d")
	last := branchOf([]*onnxpb.NodeProto{wider, deeper, odd, node("Add", []string{"x", "own"}, []string{"e2"})}, "a2",
		"b2", "c2", "e2")
	last.Initializer = []*onnxpb.TensorProto{graph.IntTensor("own", []int64{2, 1}, []int64{1, 2})}
	b.NodeN("If", []string{yes}, []string{"size", "rank", "unknown", "own too", "one alone"},
		graph.Graph("then_branch", then), graph.Graph("else_branch", last))
	loop := branchOf([]*onnxpb.NodeProto{node("Add", []string{"q", "x"}, []string{"p"}),
		node("Relu", []string{"p"}, []string{"q"})}, "q")
	m := b.Model()
	circle := node("If", []string{"yes"}, []string{"circle"})
	circle.Attribute = []graph.Attr{graph.Graph("then_branch", loop)}
	m.Graph.Node = append(m.Graph.Node, circle)
	shapes, values, err := shape.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int64{"size": {2, -1}, "rank": nil, "unknown": nil, "own too": {2, 3},
		"one alone": nil, "circle": nil} {
		if s, ok := shapes[name]; ok != (want != nil) || !slices.Equal(s, want) {
			t.Errorf("%s has shape %v, want %v", name, s, want)
		}
	}
	for _, inner := range []string{"a", "a2", "b2", "c", "c2", "d", "own"} {
		if _, ok := shapes[inner]; ok || values[inner] != nil {
			t.Errorf("%s, which is inside a branch, is among the tensors of the graph", inner)
		}
	}
}

// TestRulesGoBeforeHints: a declared shape that a rule contradicts is not believed; a given input can make all of them
// wrong.
func TestRulesGoBeforeHints(t *testing.T) {
	b := graph.NewBuilder("hints", 17)
	x, y := b.Input("x", graph.Float32, 2, 3), b.Input("y", graph.Float32, 2, 3)
	b.Output(b.Node("Relu", "ruled", []string{x}), graph.Float32, 9, 9)
	b.Output(b.Node("org.example.Odd", "odd", []string{x, y}), graph.Float32, 7)
	m := b.Model()
	for _, c := range []struct {
		x   []int64
		odd []int64
	}{{[]int64{2, 3}, []int64{7}}, {[]int64{4, 3}, nil}} {
		got, err := shape.Shapes(m, map[string][]int64{"x": c.x, "y": {2, 3}})
		if err != nil || !slices.Equal(got["ruled"], c.x) || !slices.Equal(got["odd"], c.odd) {
			t.Errorf("given %v: %v, %v", c.x, got, err)
		}
	}
}
