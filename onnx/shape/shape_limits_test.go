package shape_test

import (
	"math"
	"slices"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/shape"
)

// TestShapesOfOneNode: limits of the operators, by the specification (https://onnx.ai/onnx/operators/); nil is unknown.
func TestShapesOfOneNode(t *testing.T) {
	const least, most = math.MinInt64, math.MaxInt64
	ints, one := graph.Ints, graph.Int
	window := func(kernel ...int64) graph.Attr { return ints("kernel_shape", kernel...) }
	for _, c := range []struct {
		name, op string
		x        []any
		lists    [][]int64 // the inputs after x
		attrs    []graph.Attr
		want     []int64
	}{
		{"slice backwards", "Slice", []any{10}, [][]int64{{-1}, {least}, {0}, {-1}}, nil, []int64{10}},
		{"slice backwards by 3", "Slice", []any{10}, [][]int64{{9}, {0}, {0}, {-3}}, nil, []int64{3}},
		{"slice backwards, limits from the end", "Slice", []any{10}, [][]int64{{-2}, {-5}, {0}, {-1}}, nil, []int64{3}},
		{"slice backwards from beyond", "Slice", []any{10}, [][]int64{{most}, {7}, {0}, {-1}}, nil, []int64{2}},
		{"slice backwards, the wrong way", "Slice", []any{10}, [][]int64{{2}, {5}, {0}, {-1}}, nil, []int64{0}},
		{"slice backwards by more than there is", "Slice", []any{10}, [][]int64{{-1}, {least}, {0}, {least + 1}}, nil,
			[]int64{1}},
		{"slice by more than there is", "Slice", []any{10}, [][]int64{{0}, {most}, {0}, {most}}, nil, []int64{1}},
		{"slice by 3", "Slice", []any{10}, [][]int64{{1}, {8}, {0}, {3}}, nil, []int64{3}},
		{"slice by 3, one more", "Slice", []any{10}, [][]int64{{1}, {9}, {0}, {3}}, nil, []int64{3}},
		{"slice, limits from the end", "Slice", []any{10}, [][]int64{{-4}, {-1}}, nil, []int64{3}},
		{"slice of nothing", "Slice", []any{10}, [][]int64{{6}, {2}}, nil, []int64{0}},
		{"slice of two axes", "Slice", []any{4, 6, 8}, [][]int64{{1, 2}, {3, 8}, {-3, -1}}, nil, []int64{2, 6, 6}},
		{"slice of an open axis", "Slice", []any{"N", 6}, [][]int64{{1, 1}, {3, 3}}, nil, []int64{-1, 2}},
		{"slice of an axis it has not", "Slice", []any{4}, [][]int64{{0}, {1}, {1}}, nil, nil},
		{"flatten at 0", "Flatten", []any{2, 3, 4}, nil, []graph.Attr{one("axis", 0)}, []int64{1, 24}},
		{"flatten at the end", "Flatten", []any{2, 3, 4}, nil, []graph.Attr{one("axis", 3)}, []int64{24, 1}},
		{"flatten at -1", "Flatten", []any{2, 3, 4}, nil, []graph.Attr{one("axis", -1)}, []int64{6, 4}},
		{"flatten at -rank", "Flatten", []any{2, 3, 4}, nil, []graph.Attr{one("axis", -3)}, []int64{1, 24}},
		{"flatten before the first", "Flatten", []any{2, 3, 4}, nil, []graph.Attr{one("axis", -4)}, nil},
		{"flatten behind the end", "Flatten", []any{2, 3, 4}, nil, []graph.Attr{one("axis", 4)}, nil},
		{"flatten an open batch", "Flatten", []any{"N", 3, 4}, nil, nil, []int64{-1, 12}},
		{"space to depth", "SpaceToDepth", []any{1, 3, 8, 6}, nil, []graph.Attr{one("blocksize", 2)}, []int64{1, 12, 4, 3}},
		{"depth to space", "DepthToSpace", []any{"N", 12, 4, "W"}, nil, []graph.Attr{one("blocksize", 2)},
			[]int64{-1, 3, 8, -1}},
		{"blocks of nothing", "SpaceToDepth", []any{1, 3, 8, 6}, nil, nil, nil},
		{"blocks of one", "SpaceToDepth", []any{1, 3, 8, 6}, nil, []graph.Attr{one("blocksize", 1)}, []int64{1, 3, 8, 6}},
		{"blocks of three axes", "SpaceToDepth", []any{3, 8, 6}, nil, []graph.Attr{one("blocksize", 2)}, nil},
		{"pool", "MaxPool", []any{1, 3, 7, 8}, nil, []graph.Attr{window(3, 2), ints("strides", 2, 2)}, []int64{1, 3, 3, 4}},
		{"pool, ceil", "MaxPool", []any{1, 3, 8, 8}, nil,
			[]graph.Attr{window(3, 3), ints("strides", 2, 2), one("ceil_mode", 1)}, []int64{1, 3, 4, 4}},
		// the last window would start in the padding at the end, so it is left out
		{"pool, ceil, padded", "MaxPool", []any{1, 3, 3, 3}, nil,
			[]graph.Attr{window(1, 1), ints("strides", 2, 2), ints("pads", 0, 0, 1, 1), one("ceil_mode", 1)},
			[]int64{1, 3, 2, 2}},
		{"pool, dilated", "MaxPool", []any{1, 3, 9, 9}, nil, []graph.Attr{window(3, 3), ints("dilations", 2, 3)},
			[]int64{1, 3, 5, 3}},
		{"pool, same size", "AveragePool", []any{1, 3, 7, 8}, nil,
			[]graph.Attr{window(3, 3), ints("strides", 2, 2), graph.Str("auto_pad", "SAME_UPPER")}, []int64{1, 3, 4, 4}},
		{"pool, valid", "AveragePool", []any{1, 3, 7, 8}, nil,
			[]graph.Attr{window(3, 3), ints("strides", 2, 2), graph.Str("auto_pad", "VALID")}, []int64{1, 3, 3, 3}},
		{"pool of exactly the map", "MaxPool", []any{1, 3, 3, 3}, nil, []graph.Attr{window(3, 3)}, []int64{1, 3, 1, 1}},
		{"pool of more than the map", "MaxPool", []any{1, 3, 2, 3}, nil, []graph.Attr{window(3, 3)}, []int64{1, 3, -1, 1}},
		{"pool of an open height", "MaxPool", []any{1, 3, "H", 3}, nil, []graph.Attr{window(2, 2)}, []int64{1, 3, -1, 2}},
		{"pool without a kernel", "MaxPool", []any{1, 3, 8, 8}, nil, nil, nil},
		{"pool of one axis too few", "MaxPool", []any{1, 3, 8}, nil, []graph.Attr{window(2, 2)}, nil},
		{"pool, pads of one side", "MaxPool", []any{1, 3, 8, 8}, nil, []graph.Attr{window(2, 2), ints("pads", 1, 1)}, nil},
		{"global pool of a volume", "GlobalMaxPool", []any{"N", 3, 4, 5, 6}, nil, nil, []int64{-1, 3, 1, 1, 1}},
		{"global pool of rows", "GlobalMaxPool", []any{"N", 3}, nil, nil, nil},
		{"reduce all", "ReduceMean", []any{2, 3}, nil, []graph.Attr{one("keepdims", 0)}, []int64{}},
		{"reduce the last", "ReduceMean", []any{2, 3, 4}, [][]int64{{-1}}, nil, []int64{2, 3, 1}},
		{"reduce nothing", "ReduceSum", []any{2, 3}, nil, []graph.Attr{one("noop_with_empty_axes", 1)}, []int64{2, 3}},
		{"reduce an axis it has not", "ReduceSum", []any{2, 3}, [][]int64{{2}}, nil, nil},
		{"transpose, reversed", "Transpose", []any{2, 3, 4}, nil, nil, []int64{4, 3, 2}},
		{"transpose, two axes for three", "Transpose", []any{2, 3, 4}, nil, []graph.Attr{ints("perm", 1, 0)}, nil},
		{"transpose of an axis it has not", "Transpose", []any{2, 3}, nil, []graph.Attr{ints("perm", 0, 2)}, nil},
		{"transpose of a negative axis", "Transpose", []any{2, 3}, nil, []graph.Attr{ints("perm", 0, -1)}, nil},
		{"squeeze all", "Squeeze", []any{1, 3, 1}, nil, nil, []int64{3}},
		{"squeeze the last", "Squeeze", []any{1, 3, 1}, [][]int64{{-1}}, nil, []int64{1, 3}},
		{"squeeze all of an open shape", "Squeeze", []any{"N", 3, 1}, nil, nil, nil},
		{"squeeze an axis it has not", "Squeeze", []any{1, 3}, [][]int64{{2}}, nil, nil},
		{"unsqueeze", "Unsqueeze", []any{2, 3}, [][]int64{{-1, 0}}, nil, []int64{1, 2, 3, 1}},
		{"unsqueeze twice the same", "Unsqueeze", []any{2, 3}, [][]int64{{0, 0}}, nil, nil},
		{"unsqueeze too far", "Unsqueeze", []any{2, 3}, [][]int64{{3}}, nil, nil},
		{"reshape", "Reshape", []any{"N", 3, 4}, [][]int64{{0, -1}}, nil, []int64{-1, 12}},
		{"reshape, the rest", "Reshape", []any{2, 3, 4}, [][]int64{{4, -1}}, nil, []int64{4, 6}},
		{"reshape that does not divide", "Reshape", []any{2, 3}, [][]int64{{4, -1}}, nil, []int64{4, -1}},
		{"reshape copies what is not there", "Reshape", []any{2}, [][]int64{{2, 0}}, nil, []int64{2, -1}},
		{"reshape to zero", "Reshape", []any{0, 3}, [][]int64{{3, 0}}, []graph.Attr{one("allowzero", 1)}, []int64{3, 0}},
		{"expand", "Expand", []any{3, 1}, [][]int64{{2, 1, 4}}, nil, []int64{2, 3, 4}},
		{"gather", "Gather", []any{5, 6, 7}, [][]int64{{0, 1, 2}}, []graph.Attr{one("axis", -2)}, []int64{5, 3, 7}},
		{"gather from an axis it has not", "Gather", []any{5}, [][]int64{{0}}, []graph.Attr{one("axis", 1)}, nil},
		{"pad", "Pad", []any{2, 3}, [][]int64{{1, 0, 2, -1}}, nil, []int64{5, 2}},
		{"pad an open axis", "Pad", []any{"N", 3}, [][]int64{{1, 1, 1, 1}}, nil, []int64{-1, 5}},
		{"pad, lists that differ", "Pad", []any{2, 3}, [][]int64{{1, 1}}, nil, []int64{-1, -1}},
		{"split", "Split", []any{7, 2}, [][]int64{{3, 4}}, nil, []int64{3, 2}},
		{"broadcast", "Add", []any{2, 1}, [][]int64{{1, 2, 3}}, nil, []int64{2, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := graph.NewBuilder("one", 18)
			in := []string{b.Input("x", graph.Float32, c.x...)}
			for _, v := range c.lists {
				in = append(in, b.Ints("", []int64{int64(len(v))}, v))
			}
			b.Node(c.op, "y", in, c.attrs...)
			got, err := shape.Shapes(b.Model(), nil)
			if s, ok := got["y"]; err != nil || ok != (c.want != nil) || !slices.Equal(s, c.want) {
				t.Errorf("shape %v, %v; want %v", s, err, c.want)
			}
		})
	}
}

// TestSplitIntoEqualParts: the last part is the smaller one.
func TestSplitIntoEqualParts(t *testing.T) {
	for size, want := range map[any][]int64{7: {3, 3, 1}, 9: {3, 3, 3}, "N": {-1, -1, -1}} {
		b := graph.NewBuilder("split", 18)
		b.NodeN("Split", []string{b.Input("x", graph.Float32, 2, size)}, []string{"a", "b", "c"}, graph.Int("axis", -1),
			graph.Int("num_outputs", 3))
		got, err := shape.Shapes(b.Model(), nil)
		if parts := []int64{got["a"][1], got["b"][1], got["c"][1]}; err != nil || !slices.Equal(parts, want) {
			t.Errorf("parts of %v: %v, %v; want %v", size, parts, err, want)
		}
	}
}

// TestFiltersDecideShapes: convolutions, transposed ones and products.
func TestFiltersDecideShapes(t *testing.T) {
	pads, strides := graph.Ints("pads", 1, 0, 0, 1), graph.Ints("strides", 2, 3)
	for _, c := range []struct {
		name, op string
		x        []any
		w        []int64
		attrs    []graph.Attr
		want     []int64
	}{
		{"conv", "Conv", []any{"N", 3, 8, 8}, []int64{4, 3, 3, 2}, []graph.Attr{pads, strides}, []int64{-1, 4, 4, 3}},
		{"conv of rows", "Conv", []any{2, 3, 8}, []int64{4, 3, 3}, nil, []int64{2, 4, 6}},
		{"conv of another rank", "Conv", []any{2, 3, 8}, []int64{4, 3, 3, 3}, nil, nil},
		// (8-1)*2 + 1 + (3-1) + 1 - 1 - 0 and (8-1)*3 + 0 + (2-1) + 1 - 0 - 1
		{"transposed", "ConvTranspose", []any{1, 3, 8, 8}, []int64{3, 5, 3, 2},
			[]graph.Attr{pads, strides, graph.Ints("output_padding", 1, 0), graph.Int("group", 3)}, []int64{1, 15, 17, 22}},
		{"transposed, dilated", "ConvTranspose", []any{1, 3, 4, 4}, []int64{3, 5, 3, 3},
			[]graph.Attr{graph.Ints("dilations", 2, 1)}, []int64{1, 5, 8, 6}},
		{"transposed, size given", "ConvTranspose", []any{1, 3, 4, 4}, []int64{3, 5, 3, 3},
			[]graph.Attr{graph.Ints("output_shape", 9, 11)}, []int64{1, 5, 9, 11}},
		{"transposed, open", "ConvTranspose", []any{1, 3, "H", 4}, []int64{3, 5, 3, 3}, nil, []int64{1, 5, -1, 6}},
		{"transposed, padded by itself", "ConvTranspose", []any{1, 3, 4, 4}, []int64{3, 5, 3, 3},
			[]graph.Attr{graph.Str("auto_pad", "SAME_UPPER")}, []int64{1, 5, -1, -1}},
		{"gemm", "Gemm", []any{2, 3}, []int64{3, 4}, nil, []int64{2, 4}},
		{"gemm, both turned", "Gemm", []any{3, 2}, []int64{4, 3},
			[]graph.Attr{graph.Int("transA", 1), graph.Int("transB", 1)}, []int64{2, 4}},
		{"gemm of a stack", "Gemm", []any{1, 2, 3}, []int64{3, 4}, nil, nil},
		{"matmul of stacks", "MatMul", []any{5, 1, 2, 3}, []int64{6, 3, 4}, nil, []int64{5, 6, 2, 4}},
		{"matmul of a vector", "MatMul", []any{3}, []int64{3, 4}, nil, []int64{4}},
	} {
		b := graph.NewBuilder("filter", 17)
		n := int64(1)
		for _, d := range c.w {
			n *= d
		}
		b.Node(c.op, "y", []string{b.Input("x", graph.Float32, c.x...), b.Init("w", c.w, make([]float32, n))}, c.attrs...)
		got, err := shape.Shapes(b.Model(), nil)
		if s, ok := got["y"]; err != nil || ok != (c.want != nil) || !slices.Equal(s, c.want) {
			t.Errorf("%s: shape %v, %v; want %v", c.name, s, err, c.want)
		}
	}
}

// TestIntegersFollowFromShapes: what exporters compute around views.
func TestIntegersFollowFromShapes(t *testing.T) {
	b := graph.NewBuilder("values", 17)
	list := func(v ...int64) string { return b.Ints("", []int64{int64(len(v))}, v) }
	x := b.Input("x", graph.Float32, "N", 3, 8, 6)
	b.Node("Shape", "all", []string{x})
	b.Node("Shape", "middle", []string{x}, graph.Int("start", 1), graph.Int("end", -1))
	b.Node("Shape", "beyond", []string{x}, graph.Int("start", -2), graph.Int("end", 99))
	b.Node("Gather", "height", []string{"all", b.Ints("two", nil, []int64{2})})
	b.Node("Gather", "sides", []string{"all", list(-2, -1)})
	b.Node("Gather", "none", []string{"all", list(4)})
	for op, name := range map[string]string{"Add": "plus", "Sub": "less", "Mul": "times", "Div": "half"} {
		b.Node(op, name, []string{"sides", list(2)})
	}
	b.Node("Div", "zeroth", []string{"sides", list(2, 0)})
	b.Node("Add", "cross", []string{list(10), "sides"})
	b.Node("Unsqueeze", "row", []string{"height", list(0)})
	b.Node("Squeeze", "scalar", []string{"row", list(0)})
	b.Node("Concat", "joined", []string{"row", "sides", list(7)}, graph.Int("axis", 0))
	b.Node("Slice", "cut", []string{"joined", list(1), list(-1), list(0)})
	b.Node("Cast", "as int", []string{"sides"}, graph.Int("to", int64(graph.Int32)))
	b.Node("Cast", "as float", []string{"sides"}, graph.Int("to", int64(graph.Float32)))
	b.Node("ConstantOfShape", "fours", []string{list(2)},
		graph.Tensor("value", graph.IntTensor("", []int64{1}, []int64{4})))
	b.Node("Constant", "single", nil, graph.Int("value_int", 9))
	b.Node("Constant", "several", nil, graph.Ints("value_ints", 9, 8))
	shapes, values, err := shape.Infer(b.Model(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int64{
		"all": nil, "middle": {3, 8}, "beyond": {8, 6}, "height": {8}, "sides": {8, 6}, "none": nil,
		"plus": {10, 8}, "less": {6, 4}, "times": {16, 12}, "half": {4, 3}, "zeroth": nil, "cross": {18, 16},
		"row": {8}, "scalar": {8}, "joined": {8, 8, 6, 7}, "cut": {8, 6}, "as int": {8, 6}, "as float": nil,
		"fours": {4, 4}, "single": {9}, "several": {9, 8},
	} {
		if got := values[name]; !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for name, rank := range map[string]int{"all": 1, "height": 0, "row": 1, "scalar": 0, "single": 0, "several": 1,
		"cut": 1} {
		if s, ok := shapes[name]; !ok || len(s) != rank {
			t.Errorf("%s has shape %v, want rank %d", name, s, rank)
		}
	}
}
