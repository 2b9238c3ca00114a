package surgery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/inspect"
	"finetune/onnx/surgery"
	"finetune/onnx/trainable"
)

// weight adds an initializer of an element type.
func weight(b *graph.Builder, name string, e int32, dims ...int64) string {
	n, size := int64(1), map[int32]int64{graph.Float32: 4, graph.Float16: 2, graph.Float64: 8, graph.Int64: 8,
		graph.Int8: 1}[e]
	for _, d := range dims {
		n *= d
	}
	return b.InitTensor(&onnxpb.TensorProto{Name: &name, DataType: &e, Dims: dims, RawData: make([]byte, n*size)})
}

// TestWhichWeightsTrain: filters, matrices, scales and shifts of any float type; no statistics, integers or single
// numbers.
func TestWhichWeightsTrain(t *testing.T) {
	for i, c := range []struct {
		op   string
		elem int32
		dims [][]int64 // of inputs 1, 2 and so on
		want string    // those that train
	}{
		{"Conv", graph.Float32, [][]int64{{4, 3, 1, 1}}, "w1"},
		{"Conv", graph.Float16, [][]int64{{4, 3, 1, 1}, {4}}, "w1 w2"},
		{"ConvTranspose", graph.Float64, [][]int64{{3, 4, 1, 1}, {4}}, "w1 w2"},
		{"Gemm", graph.Float32, [][]int64{{3, 4}, {1}}, "w1"},
		{"BatchNormalization", graph.Float32, [][]int64{{3}, {3}, {3}, {3}}, "w1 w2"},
		{"LayerNormalization", graph.Float32, [][]int64{{3}, {3}}, "w1 w2"},
		{"PRelu", graph.Float32, [][]int64{{3, 1, 1}}, "w1"},
		{"Mul", graph.Float32, [][]int64{{2}}, ""}, // before the first layer: preprocessing
		{"Add", graph.Float32, [][]int64{{1}}, ""},
		{"Add", graph.Float32, [][]int64{{}}, ""},
		{"Add", graph.Int64, [][]int64{{3}}, ""},
		{"MatMul", graph.Int8, [][]int64{{3, 3}}, ""},
		{"Concat", graph.Float32, [][]int64{{3, 3}}, ""},
	} {
		b := graph.NewBuilder("weights", 17)
		in := []string{b.Input("x", c.elem, "N", 3, 8, 8)}
		for k, dims := range c.dims {
			in = append(in, weight(b, fmt.Sprint("w", k+1), c.elem, dims...))
		}
		b.Node(c.op, "y", in)
		g, err := trainable.Groups(b.Model())
		if err != nil || len(g) != 1 || strings.Join(g[0].Parameters, " ") != c.want {
			t.Errorf("%d: %s trains %+v, %v; want %q", i, c.op, g, err, c.want)
		}
	}
	b := graph.NewBuilder("first", 17)
	x := b.Input("x", graph.Float32, 3, 3)
	turned := b.Node("Transpose", "turned",
		[]string{b.Node("Reshape", "square",
			[]string{weight(b, "w", graph.Float32, 9), b.Ints("s", []int64{2}, []int64{3, 3})})})
	x = b.Node("MatMul", "left", []string{turned, x})
	// computed, so no weight of this node
	x = b.Node("MatMul", "right", []string{x, b.Node("Relu", "made", []string{weight(b, "v", graph.Float32, 3, 3)})})
	b.Output(x, graph.Float32)
	m := b.Model()
	m.Graph.Node[2].Name = nil
	if g, err := trainable.Groups(m); err != nil || len(g) != 1 || !slices.Equal(g[0].Parameters, []string{"w"}) ||
		g[0].First != "left" || g[0].Count != 9 {
		t.Errorf("%+v, %v", g, err)
	}
}

// layers is a chain of 1 by 1 convolutions w0, w1 and so on with these strides along both axes.
func layers(strides ...[2]int64) *graph.Model {
	b := graph.NewBuilder("layers", 17)
	x := b.Input("image", graph.Float32, 1, 3, 64, 64)
	for i, s := range strides {
		x = b.Node("Conv", fmt.Sprint("c", i), []string{x, weight(b, fmt.Sprint("w", i), graph.Float32, 3, 3, 1, 1)},
			graph.Ints("strides", s[:]...))
	}
	b.Output(x, graph.Float32)
	return b.Model()
}

// TestWhereTheStrideReaches16: there the second group opens, and all behind belongs to it, however far the stride
// grows.
func TestWhereTheStrideReaches16(t *testing.T) {
	for i, c := range []struct {
		strides [][2]int64
		early   int // layers in the first group; all in one if the same as there are
	}{
		{[][2]int64{{1, 1}, {16, 1}, {1, 1}}, 1},
		{[][2]int64{{1, 1}, {1, 16}, {1, 1}}, 3},
		{[][2]int64{{3, 3}, {5, 5}, {1, 1}}, 3},
		{[][2]int64{{4, 4}, {2, 2}, {2, 2}, {2, 2}}, 2},
		{[][2]int64{{16, 16}, {1, 1}}, 2}, // nothing before it: one group
		{[][2]int64{{1, 1}, {5000, 5000}, {1, 1}}, 1},
		{[][2]int64{{1, 1}, {1 << 60, 1}, {16, 1}, {1, 1}}, 1},
		{slices.Concat([][2]int64{{1, 1}}, slices.Repeat([][2]int64{{512, 512}}, 8)), 1}, // 2^72
	} {
		g, err := trainable.Groups(layers(c.strides...))
		want := []string{"body"}
		if c.early < len(c.strides) {
			want = []string{"early", "middle"}
		}
		var names []string
		for _, x := range g {
			names = append(names, x.Name)
		}
		if err != nil || !slices.Equal(names, want) || len(g[0].Parameters) != c.early || g[0].Count != int64(9*c.early) {
			t.Errorf("%d: %+v, %v; want %d layers in the first of %v", i, g, err, c.early, want)
		}
	}
	// The larger stride of two ways that meet decides.
	b := graph.NewBuilder("ways", 17)
	x := b.Node("Conv", "a",
		[]string{b.Input("image", graph.Float32, 1, 3, 64, 64), weight(b, "wa", graph.Float32, 3, 3, 1, 1)})
	long := b.Node("MaxPool", "long", []string{x}, graph.Ints("kernel_shape", 1, 1), graph.Ints("strides", 16, 16))
	sum := b.Node("Add", "sum", []string{long, b.Node("GlobalAveragePool", "short", []string{x})})
	b.Output(b.Node("Conv", "b", []string{sum, weight(b, "wb", graph.Float32, 3, 3, 1, 1)}), graph.Float32)
	if g, err := trainable.Groups(b.Model()); err != nil ||
		len(g) != 2 || !slices.Equal(g[1].Parameters, []string{"wb"}) ||
		g[1].First != "b" {
		t.Errorf("%+v, %v", g, err)
	}
}

// TestSplits: by node or tensor; a layer beside the split stays before it, a shared weight belongs to the earlier
// group.
func TestSplits(t *testing.T) {
	one := [2]int64{1, 1}
	g, err := trainable.Groups(layers(one, one, one, one), "c1", "c3")
	if err != nil || len(g) != 3 || g[0].Name != "group1" || g[1].Name != "group2" || g[2].Name != "group3" ||
		!slices.Equal(g[1].Parameters, []string{"w1", "w2"}) || g[1].First != "c1" {
		t.Errorf("%+v, %v", g, err)
	}
	if g, err = trainable.Groups(layers(one, one), "c1"); err != nil || len(g) != 2 || g[0].Name != "early" ||
		g[1].Name != "middle" {
		t.Errorf("%+v, %v", g, err)
	}
	if _, err = trainable.Groups(layers(one, one), "c0"); err == nil ||
		!strings.Contains(err.Error(), "layer group 1 of 2") {
		t.Errorf("nothing before the split: %v", err)
	}
	m := layers(one, one, one)
	m.Graph.Node[1].Name = proto.String("second") // c1 is its tensor
	for _, split := range []string{"second", "c1"} {
		if g, err := trainable.Groups(m, split); err != nil || !slices.Equal(g[0].Parameters, []string{"w0"}) {
			t.Errorf("split at %s: %+v, %v", split, g, err)
		}
	}
	m.Graph.Node[2].Input = []string{"c0", "w2"}
	if g, err := trainable.Groups(m, "c1"); err != nil || !slices.Equal(g[0].Parameters, []string{"w0", "w2"}) {
		t.Errorf("a layer beside the split: %+v, %v", g, err)
	}
	m = layers(one, one, one)
	m.Graph.Node[2].Input[1] = "w0"
	if g, err := trainable.Groups(m, "c1"); err != nil || !slices.Equal(g[0].Parameters, []string{"w0"}) ||
		!slices.Equal(g[1].Parameters, []string{"w1"}) {
		t.Errorf("a shared weight: %+v, %v", g, err)
	}
	if _, err := trainable.Groups(m, "c2"); err == nil || !strings.Contains(err.Error(), "layer group 2 of 2") {
		t.Errorf("a group whose weights are an earlier one's: %v", err)
	}
}

// TestUntieLeavesWhatIsMeant: numbers, other types and matrices stay shared, as do Identities of what is computed or of
// another domain.
func TestUntieLeavesWhatIsMeant(t *testing.T) {
	b := graph.NewBuilder("shared", 17)
	x := b.Input("x", graph.Float32, "N", 2)
	weight(b, "one", graph.Float32, 1)
	weight(b, "short", graph.Float16, 2)
	weight(b, "ints", graph.Int64, 2)
	weight(b, "matrix", graph.Float32, 2, 2)
	weight(b, "vector", graph.Float32, 2)
	for range 2 {
		x = b.Node("org.example.Odd", "", []string{x, "one", "short", "ints", "matrix", "vector"})
	}
	x = b.Node("Identity", "computed", []string{x})
	x = b.Node("Add", "sum", []string{x, b.Node("org.example.Identity", "other", []string{"matrix"})})
	b.NodeN("Odd", []string{"vector"}, nil)
	b.Output(b.Node("Sum", "last", []string{x, b.Node("Identity", "own", []string{"vector"}), "vector"}), graph.Float32)
	m := b.Model()
	surgery.UnshareInitializers(m)
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	first, second := m.Graph.Node[0].Input[1:], m.Graph.Node[1].Input[1:]
	if !slices.Equal(first[:4], second[:4]) || first[4] != "vector" || second[4] == "vector" {
		t.Errorf("reads %v, then %v", first, second)
	}
	var kinds []string
	for _, n := range m.Graph.Node {
		kinds = append(kinds, n.GetOpType())
	}
	if want := []string{"Odd", "Odd", "Identity", "Identity", "Add", "Odd", "Sum"}; !slices.Equal(kinds, want) {
		t.Errorf("nodes %v, want %v", kinds, want)
	}
	if in := m.Graph.Node[6].Input; in[1] != "own" || in[2] == "vector" || m.Graph.Node[5].Input[0] != "vector" {
		t.Errorf("the last node reads %v", in)
	}
}

// TestDescribeCounts: operators, most frequent first, then by name; weights of the whole, groups of the body.
func TestDescribeCounts(t *testing.T) {
	b := graph.NewBuilder("counts", 17)
	x := b.Node("Conv", "map",
		[]string{b.Input("image", graph.Float32, "N", 3, 8, 8), weight(b, "w", graph.Float32, 4, 3, 1, 1)})
	x = b.Node("org.example.Relu", "odd", []string{b.Node("Relu", "", []string{b.Node("Relu", "", []string{x})})})
	x = b.Node("Flatten", "flat",
		[]string{b.Node("GlobalAveragePool", "mean",
			[]string{b.Node("Dropout", "drop", []string{x, "", b.InitTensor(boolean("on", 1))})})})
	b.Output(b.Node("Gemm", "logits", []string{x, weight(b, "v", graph.Float32, 4, 5)}), graph.Float32, "N", 5)
	m := b.Model()
	m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{proto.Clone(m.Graph.Input[0]).(*onnxpb.ValueInfoProto)}
	m.Graph.ValueInfo[0].Name = proto.String("odd")
	info, err := inspect.Describe(m)
	if err != nil || info.Cut != "drop" || info.Parameters != 12+20 || len(info.Groups) != 1 ||
		info.Groups[0].Count != 12 || info.Nodes != 8 ||
		info.Opsets["ai.onnx"] != 17 || info.Opsets["org.example"] != 1 ||
		!strings.Contains(info.Training, `"drop" (Dropout)`) {
		t.Errorf("%+v, %v", info, err)
	}
	if got := fmt.Sprint(info.Operators); got != "[{Relu 2} {Conv 1} {Dropout 1} {Flatten 1} {Gemm 1} "+
		"{GlobalAveragePool 1} {org.example.Relu 1}]" {
		t.Errorf("operators %s", got)
	}
	if info, err = inspect.Describe(concatHead()); err != nil || info.Training != "" {
		t.Errorf("%+v, %v", info, err)
	}
}
