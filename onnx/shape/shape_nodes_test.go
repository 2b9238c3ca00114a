package shape_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/shape"
)

// Inputs of a single node.
type (
	tensor []any   // floats of a shape
	list   []int64 // a constant vector
	number int64   // a constant scalar
	later  int     // a vector of integers of that length, known at run time alone
)

const (
	absent  = "absent"  // an input left out
	nothing = "nothing" // a tensor of unknown shape
)

// single is a model of one node with outputs y0, y1 and so on.
func single(op string, inputs []any, outputs int, attrs ...graph.Attr) *graph.Model {
	b := graph.NewBuilder("one", 18)
	var in, out []string
	for i, v := range inputs {
		name := fmt.Sprint("x", i)
		switch v := v.(type) {
		case tensor:
			b.Input(name, graph.Float32, v...)
		case list:
			b.Ints(name, []int64{int64(len(v))}, v)
		case number:
			b.Ints(name, nil, []int64{int64(v)})
		case later:
			b.Input(name, graph.Int64, int(v))
		default:
			if name = map[any]string{absent: "", nothing: name}[v]; name != "" {
				b.Node("org.example.Odd", name, nil)
			}
		}
		in = append(in, name)
	}
	for i := range outputs {
		out = append(out, fmt.Sprint("y", i))
	}
	b.NodeN(op, in, out, attrs...)
	return b.Model()
}

// TestShapesOfOneNodeOfAnyInput: by the specification (https://onnx.ai/onnx/operators/); nil is unknown.
func TestShapesOfOneNodeOfAnyInput(t *testing.T) {
	ints, one, str := graph.Ints, graph.Int, graph.Str
	type attrs = []graph.Attr
	type in = []any
	type extent = []int64
	image, filter := tensor{1, 3, 8, 8}, tensor{4, 3, 3, 3}
	few := func(n int) []int64 { return slices.Repeat([]int64{-1}, n) }
	for i, c := range []struct {
		op    string
		in    in
		attrs attrs
		want  extent
	}{
		{"org.example.Relu", in{image}, nil, nil},
		{"com.microsoft.QuickGelu", in{image}, nil, extent{1, 3, 8, 8}},
		{"com.microsoft.FusedConv", in{image, filter}, nil, extent{1, 4, 6, 6}},
		{"Relu", in{tensor{0, -2, 3}}, nil, extent{0, -1, 3}},
		{"ConstantOfShape", in{list{2, 3}}, nil, extent{2, 3}},
		{"ConstantOfShape", in{list{300}}, nil, extent{300}},
		{"ConstantOfShape", in{list{}}, nil, extent{}},
		{"ConstantOfShape", in{list{math.MaxInt32, math.MaxInt32 + 1}}, nil, extent{math.MaxInt32, -1}},
		{"ConstantOfShape", in{later(2)}, nil, nil},
		{"ConstantOfShape", in{list{-2}}, attrs{graph.Tensor("value", graph.IntTensor("", []int64{1}, []int64{4}))},
			extent{-1}},
		{"ConstantOfShape", in{list{1 << 40}}, attrs{graph.Tensor("value", graph.IntTensor("", []int64{1}, []int64{4}))},
			extent{-1}},
		{"Conv", in{nothing, filter}, nil, extent{-1, 4, -1, -1}},
		{"Conv", in{tensor{1, 3, 8}, filter}, nil, nil},
		{"Conv", in{image, tensor{4, 3}}, nil, nil},
		{"Conv", in{tensor{1, 3}, tensor{4, 3}}, nil, nil},
		{"Conv", in{image, tensor{"O", "I", 3, 2}}, nil, extent{1, -1, 6, 7}},
		{"Conv", in{image, tensor{4, 3, "K", 3}}, nil, nil},
		{"Conv", in{image, tensor{4, 3, "K", 3}}, attrs{ints("kernel_shape", 2, 3)}, extent{1, 4, 7, 6}},
		{"Conv", in{image, filter}, attrs{ints("kernel_shape", 3)}, nil},
		{"Conv", in{image, filter}, attrs{ints("kernel_shape", 3, 0)}, nil},
		{"Conv", in{image, filter}, attrs{ints("strides", 1)}, nil},
		{"Conv", in{image, filter}, attrs{ints("dilations", 1)}, nil},
		{"Conv", in{image, filter}, attrs{ints("dilations", 0, 1)}, nil},
		{"Conv", in{image, filter}, attrs{ints("pads", -1, 0, -1, 1)}, extent{1, 4, 4, 7}},
		{"Conv", in{image, filter}, attrs{ints("pads", 1<<20, 0, 0, 0)}, nil},
		{"Conv", in{image, filter}, attrs{ints("pads", 0, -1<<20, 0, 1<<20-1)}, nil},
		{"Conv", in{image, filter}, attrs{ints("pads", 1<<20-1, -1<<20+1, 0, 1<<20)}, nil},
		{"Conv", in{image, filter}, attrs{ints("pads", 1<<20-1, -1<<20+1, 0, 1<<20-1)}, extent{1, 4, 1<<20 + 5, 6}},
		{"Conv", in{image, filter}, attrs{ints("strides", 3, 2), str("auto_pad", "SAME_LOWER")}, extent{1, 4, 3, 4}},
		{"Conv", in{image, filter}, attrs{ints("strides", 2, 2), str("auto_pad", "VALID"), ints("pads", 1, 1, 1, 1)},
			extent{1, 4, 3, 3}},
		{"Conv", in{tensor{1, 3, 4, 5}, filter}, attrs{ints("dilations", 2, 2), str("auto_pad", "VALID")},
			extent{1, 4, -1, 1}},
		{"ConvTranspose", in{image, tensor{3, "O", 3, 3}}, nil, extent{1, -1, 10, 10}},
		{"ConvTranspose", in{image, tensor{3, 1, 3, 3}}, attrs{one("group", 3)}, extent{1, 3, 10, 10}},
		{"ConvTranspose", in{tensor{1, 3, 8}, filter}, nil, nil},
		{"ConvTranspose", in{tensor{1, 3}, tensor{3, 4}}, nil, nil},
		{"ConvTranspose", in{tensor{1, 3, 8}, tensor{3, 4, 3}}, nil, extent{1, 4, 10}},
		{"ConvTranspose", in{image, filter}, attrs{ints("output_padding", 1)}, nil},
		{"ConvTranspose", in{image, filter}, attrs{ints("kernel_shape", 3)}, nil},
		{"ConvTranspose", in{image, filter}, attrs{ints("dilations", 0, 1)}, nil},
		{"ConvTranspose", in{tensor{1, 3, 0, 1}, filter}, nil, extent{1, 3, 2, 3}},
		{"MaxPool", in{tensor{1, 1, 1 << 20, 8}}, attrs{ints("kernel_shape", 1<<20-1, 1)}, extent{1, 1, 2, 8}},
		{"MaxPool", in{tensor{1, 1, 1 << 20, 8}}, attrs{ints("kernel_shape", 1<<20, 1)}, nil},
		{"MaxPool", in{tensor{1, 1, 5}},
			attrs{ints("kernel_shape", 3), ints("strides", 3), ints("pads", 1, 1), one("ceil_mode", 1)}, extent{1, 1, 2}},
		{"MaxPool", in{tensor{1, 1, 5}},
			attrs{ints("kernel_shape", 3), ints("strides", 3), ints("pads", 2, 0), one("ceil_mode", 1)}, extent{1, 1, 3}},
		{"MaxPool", in{tensor{1, 1, 5}}, attrs{ints("kernel_shape", 3), ints("strides", 3), ints("pads", 2, 0)},
			extent{1, 1, 2}},
		{"MaxPool", in{tensor{1, 1, 8}}, attrs{ints("kernel_shape", 3), ints("strides", 2), str("auto_pad", "VALID")},
			extent{1, 1, 3}},
		{"MaxPool", in{tensor{1, 1, 8}},
			attrs{ints("kernel_shape", 3), ints("strides", 2), str("auto_pad", "VALID"), one("ceil_mode", 1)}, extent{1, 1, 4}},
		{"MaxPool", in{tensor{1, 3}}, attrs{ints("kernel_shape")}, nil},
		{"MaxPool", in{nothing}, attrs{ints("kernel_shape", 2, 2)}, nil},
		{"GlobalLpPool", in{tensor{"N", 3, 4}}, nil, extent{-1, 3, 1}},
		{"ReduceSum", in{tensor{2, 3}, later(1)}, nil, extent{-1, -1}},
		{"ReduceSum", in{tensor{2, 3}, later(1)}, attrs{one("keepdims", 0)}, extent{-1}},
		{"ReduceSum", in{tensor{2, 3}, absent}, nil, extent{1, 1}},
		{"ReduceSum", in{tensor{2, 3}, absent}, attrs{one("noop_with_empty_axes", 1)}, extent{2, 3}},
		{"ReduceSum", in{tensor{2, 3}, list{}}, attrs{one("noop_with_empty_axes", 1)}, extent{2, 3}},
		{"ReduceSum", in{tensor{2, 3}, list{}}, nil, extent{1, 1}},
		{"ReduceSum", in{tensor{2, 3}, list{0}}, attrs{one("noop_with_empty_axes", 1)}, extent{1, 3}},
		{"ReduceMean", in{tensor{2, 3, 4}}, attrs{ints("axes", 0, -1), one("keepdims", 0)}, extent{3}},
		{"ReduceMean", in{tensor{2, 3, 4}}, attrs{ints("axes", -4)}, nil},
		{"ReduceMean", in{nothing}, nil, nil},
		{"Add", in{tensor{2, 3}, tensor{4, 3}}, nil, extent{-1, 3}},
		{"Add", in{tensor{"N", 3}, tensor{5, 1}}, nil, extent{5, 3}},
		{"Add", in{tensor{5, 3}, tensor{"N", 1}}, nil, extent{5, 3}},
		{"Add", in{tensor{"N"}, tensor{1}}, nil, extent{-1}},
		{"Add", in{tensor{1}, tensor{"N"}}, nil, extent{-1}},
		{"Add", in{tensor{3}, tensor{2, 1, 1}}, nil, extent{2, 1, 3}},
		{"Add", in{tensor{3}, nothing}, nil, nil},
		{"Where", in{tensor{3, 1}, tensor{4}, tensor{2, 1, 1}}, nil, extent{2, 3, 4}},
		{"Sum", in{tensor{3}}, nil, extent{3}},
		{"Gemm", in{tensor{3, 2}, tensor{3, 4}}, attrs{one("transA", 1)}, extent{2, 4}},
		{"Gemm", in{tensor{2, 3}, tensor{4, 3}}, attrs{one("transB", 1)}, extent{2, 4}},
		{"Gemm", in{tensor{2, 3}, tensor{3}}, nil, nil},
		{"MatMul", in{tensor{2, 3}, tensor{5, 3, 4}}, nil, extent{5, 2, 4}},
		{"MatMul", in{tensor{5, 2, 3}, tensor{3, 4}}, nil, extent{5, 2, 4}},
		{"MatMul", in{tensor{2, 3}, tensor{3}}, nil, extent{2}},
		{"MatMul", in{tensor{3}, tensor{5, 3, 4}}, nil, extent{5, 4}},
		{"MatMul", in{tensor{3}, tensor{3}}, nil, extent{}},
		{"Concat", in{tensor{"N", 3}, tensor{2, 5}}, attrs{one("axis", -1)}, extent{2, 8}},
		{"Concat", in{tensor{2, 3}, tensor{"N", 5}}, attrs{one("axis", 1)}, extent{2, 8}},
		{"Concat", in{tensor{"N", 3}, tensor{2, 3}}, attrs{one("axis", 0)}, extent{-1, 3}},
		{"Concat", in{tensor{2, 3}, tensor{"N", 3}}, attrs{one("axis", 0)}, extent{-1, 3}},
		{"Concat", in{tensor{2, 3}, tensor{4, 3}, tensor{1, 3}}, attrs{one("axis", 0)}, extent{7, 3}},
		{"Concat", in{tensor{2, 3}, tensor{2, 4}}, nil, extent{2, 7}}, // operator set 3 and before
		{"Concat", in{tensor{2, 3}, tensor{3}}, attrs{one("axis", 0)}, nil},
		{"Concat", in{tensor{2, 3}, nothing}, attrs{one("axis", 0)}, nil},
		{"Concat", in{tensor{2, 3}, tensor{2, 3}}, attrs{one("axis", 2)}, nil},
		{"Split", in{nothing, list{1, 2}}, nil, nil},
		{"Split", in{tensor{6, 2}}, attrs{one("axis", 2)}, nil},
		{"Split", in{tensor{6, 2}}, attrs{one("axis", 0)}, extent{6, 2}},
		{"Pad", in{tensor{2, 3}, list{1, 2}, absent, list{-1}}, nil, extent{2, 6}},
		{"Pad", in{tensor{2, 3}, list{1, 2}, absent, list{2}}, nil, nil},
		{"Pad", in{tensor{2, 3}, later(2), absent, list{0}}, nil, extent{-1, 3}},
		{"Pad", in{tensor{2, 3}, later(4)}, nil, few(2)},
		{"Pad", in{tensor{2, 3}}, attrs{ints("pads", 0, 1, 1, 0)}, extent{3, 4}},
		{"Pad", in{tensor{0, 3}, list{1, 0, 1, 0}}, nil, extent{2, 3}},
		{"Pad", in{nothing, list{1, 1}}, nil, nil},
		{"DepthToSpace", in{tensor{1, 1 << 20, 1, 2}}, attrs{one("blocksize", 1<<10)}, extent{1, 1, 1 << 10, 1 << 11}},
		{"DepthToSpace", in{tensor{1, 1 << 21, 1, 2}}, attrs{one("blocksize", 1<<10+1)}, nil},
		{"SpaceToDepth", in{tensor{"N", "C", 4, 0}}, attrs{one("blocksize", 2)}, extent{-1, -1, 2, 0}},
		{"Reshape", in{image, later(3)}, nil, few(3)},
		{"Reshape", in{image, later(0)}, nil, extent{}},
		{"Reshape", in{image, later(15)}, nil, few(15)},
		{"Reshape", in{image, later(16)}, nil, nil},
		{"Reshape", in{image, nothing}, nil, nil},
		{"Reshape", in{image, tensor{"L"}}, nil, nil},
		{"Reshape", in{image, tensor{2, 3}}, nil, nil},
		{"Reshape", in{image}, nil, nil},
		{"Reshape", in{nothing, list{0, -1, 5}}, nil, extent{-1, -1, 5}},
		{"Reshape", in{nothing, list{0, 0, -1}}, nil, extent{-1, -1, -1}},
		{"Reshape", in{tensor{"N", 3, 4}, list{2, -1}}, nil, extent{2, -1}},
		{"Reshape", in{tensor{2, 3, 4}, list{-1, 6}}, nil, extent{4, 6}},
		{"Reshape", in{tensor{2, 3, 4, 5}, list{0, 0, -1}}, nil, extent{2, 3, 20}},
		{"Reshape", in{tensor{"N", 3, "W", 5}, list{0, -1, 0, 1}}, nil, extent{-1, 15, -1, 1}},
		{"Reshape", in{tensor{2, 3}, list{-1, 0}}, nil, extent{2, 3}},
		{"Squeeze", in{tensor{1, 3, 1}}, attrs{ints("axes", 0)}, extent{3, 1}},
		{"Squeeze", in{tensor{1, 3, 1}, later(1)}, nil, extent{-1, -1}},
		{"Squeeze", in{tensor{"N", 3, 1}, list{2}}, nil, extent{-1, 3}},
		{"Squeeze", in{nothing, list{0}}, nil, nil},
		{"Unsqueeze", in{tensor{3}}, attrs{ints("axes", 0, 2)}, extent{1, 3, 1}},
		{"Unsqueeze", in{tensor{3}, later(1)}, nil, extent{-1, -1}},
		{"Unsqueeze", in{nothing, list{0}}, nil, nil},
		{"Unsqueeze", in{tensor{}, list{0, 1, 2, 3, 4, 5, 6, 7}}, nil, slices.Repeat([]int64{1}, 8)},
		{"Unsqueeze", in{tensor{}, list{0, 1, 2, 3, 4, 5, 6, 7, 8}}, nil, nil}, // more axes than any image has
		{"Flatten", in{nothing}, attrs{one("axis", 0)}, nil},
		{"Transpose", in{nothing}, nil, nil},
		{"Transpose", in{nothing}, attrs{ints("perm", 0)}, nil},
		{"Expand", in{tensor{3, 1}, list{4}}, nil, extent{3, 4}},
		{"Expand", in{tensor{3, 1}, later(2)}, nil, extent{3, -1}},
		{"Expand", in{nothing, list{4}}, nil, nil},
		{"Gather", in{tensor{5, 6, 7}, number(3)}, nil, extent{6, 7}},
		{"Gather", in{tensor{5, 6, 7}, later(2)}, attrs{one("axis", -1)}, extent{5, 6, 2}},
		{"Gather", in{tensor{5, 6, 7}, nothing}, nil, nil},
		{"GatherND", in{tensor{5, 6, 7}, tensor{4, 2}}, nil, extent{4, 7}},
		{"GatherND", in{tensor{5, 6, 7}, tensor{5, 3, 1}}, attrs{one("batch_dims", 1)}, extent{5, 3, 7}},
		{"GatherND", in{tensor{5, 6}, tensor{4, 3}}, nil, nil},
		{"Gather", in{nothing, number(0)}, nil, nil},
		{"Slice", in{tensor{9, 8}}, attrs{ints("starts", 1, -3), ints("ends", 4, 99), ints("axes", 1, 0)}, extent{3, 3}},
		{"Slice", in{tensor{9, 8}}, attrs{ints("starts", 1), ints("ends", 4)}, extent{3, 8}},
		{"Slice", in{tensor{9, 8}, list{1}, list{8}, absent, list{2}}, nil, extent{4, 8}},
		{"Slice", in{tensor{9, 8}, list{1}, list{8}, absent, later(1)}, nil, extent{-1, 8}},
		{"Slice", in{tensor{9, 8}, list{1}, list{8}, list{1}, absent}, nil, extent{9, 7}},
		{"Slice", in{tensor{9, 8}, list{1}, list{8}, later(1)}, nil, few(2)},
		{"Slice", in{tensor{9, 8}, later(1), later(1), list{0}}, nil, few(2)},
		{"Slice", in{tensor{9, 8}, list{1}, later(1)}, nil, few(2)},
		{"Slice", in{tensor{9, 8}, list{1, 2}, list{3}}, nil, few(2)},
		{"Slice", in{tensor{9, 8}, list{1, 2}, list{8, 8}, list{1, 0}, list{-1, 2}}, nil, extent{3, 0}},
		{"Slice", in{tensor{9, 8}, list{0, 0}, list{9, 8}, list{0, 1}, list{2}}, nil, extent{5, -1}},
		{"Slice", in{nothing, list{1}, list{8}}, nil, nil},
		{"Slice", in{tensor{9, 8}}, attrs{ints("starts"), ints("ends")}, extent{9, 8}},
		{"Shape", in{image}, attrs{one("start", 3), one("end", 1)}, extent{0}},
		{"Shape", in{nothing}, nil, nil},
		{"Constant", nil, attrs{graph.Float("value_float", 1)}, extent{}},
		{"Constant", nil, attrs{graph.Floats("value_floats", 1, 2, 3)}, extent{3}},
		{"Constant", nil, attrs{one("value_int", 1)}, extent{}},
		{"Constant", nil, attrs{ints("value_ints", 5, 6)}, extent{2}},
		{"Constant", nil, attrs{graph.Tensor("value", graph.FloatTensor("", []int64{1, 2}, []float32{1, 2}))}, extent{1, 2}},
	} {
		t.Run(fmt.Sprint(i, " ", c.op), func(t *testing.T) {
			got, err := shape.Shapes(single(c.op, c.in, 1, c.attrs...), nil)
			if s, ok := got["y0"]; err != nil || ok != (c.want != nil) || !slices.Equal(s, c.want) {
				t.Errorf("%v %v: shape %v, %v; want %v", c.in, c.attrs, s, err, c.want)
			}
		})
	}
}

// TestNodesThatLackInputsOrOutputs: any operator may, in a damaged model; none of them panics.
func TestNodesThatLackInputsOrOutputs(t *testing.T) {
	inputs := []any{tensor{1, 4, 6, 8}, list{1, 2, 3, 0}, list{2, 3, 4, 1}, list{0, 1, 2, 3}}
	for _, op := range strings.Fields(`Add BatchNormalization Cast Concat Constant ConstantOfShape Conv ConvTranspose
		DepthToSpace Expand Flatten Gather Gemm GlobalMaxPool Identity If MatMul MaxPool Pad ReduceMean Relu Reshape
		Shape Slice SpaceToDepth Split Squeeze Sum Transpose Unsqueeze Where com.microsoft.FusedConv`) {
		for n := range len(inputs) + 1 {
			for outputs := range 3 {
				m := single(op, inputs[:n], outputs, graph.Int("axis", 1), graph.Ints("kernel_shape", 2, 2),
					graph.Int("blocksize", 2), graph.Int("value_int", 1))
				if _, err := shape.Shapes(m, nil); err != nil {
					t.Errorf("%s of %d inputs and %d outputs: %v", op, n, outputs, err)
				}
			}
		}
	}
}

// TestShapesOfManyOutputs: parts and indices.
func TestShapesOfManyOutputs(t *testing.T) {
	for _, c := range []struct {
		op    string
		in    []any
		attrs []graph.Attr
		want  [][]int64
	}{
		{"Split", []any{tensor{7, 2}, list{2, 1, 4}}, nil, [][]int64{{2, 2}, {1, 2}, {4, 2}}},
		{"Split", []any{tensor{2, 7}}, []graph.Attr{graph.Ints("split", 2, 5), graph.Int("axis", -1)},
			[][]int64{{2, 2}, {2, 5}}},
		{"Split", []any{tensor{6, 2}}, nil, [][]int64{{2, 2}, {2, 2}, {2, 2}}},
		{"Split", []any{tensor{0, 2}}, nil, [][]int64{{0, 2}, {0, 2}}},
		{"MaxPool", []any{tensor{1, 3, 8, 6}}, []graph.Attr{graph.Ints("kernel_shape", 3, 3)},
			[][]int64{{1, 3, 6, 4}, {1, 3, 6, 4}}},
	} {
		got, err := shape.Shapes(single(c.op, c.in, len(c.want), c.attrs...), nil)
		for i, want := range c.want {
			if s := got[fmt.Sprint("y", i)]; err != nil || !slices.Equal(s, want) {
				t.Errorf("%s %v: output %d has shape %v, %v; want %v", c.op, c.in, i, s, err, want)
			}
		}
	}
}
