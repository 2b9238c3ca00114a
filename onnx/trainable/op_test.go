package trainable

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// stranger is a small classifier of which node op, once in another domain, is not the operator that its name says.
func stranger() *graph.Model {
	b := graph.NewBuilder("stranger", 17)
	x := b.Node("Conv", "conv",
		[]string{b.Input("image", graph.Float32, "N", 3, 16, 16), b.Init("w", []int64{4, 3, 3, 3}, make([]float32, 108))},
		graph.Ints("strides", 16, 16), graph.Ints("pads", 1, 1, 1, 1))
	x = b.Node("Transpose", "back", []string{b.Node("Transpose", "there", []string{x}, graph.Ints("perm", 0, 2, 3, 1))},
		graph.Ints("perm", 0, 3, 1, 2))
	x = b.Node("GlobalAveragePool", "pool", []string{x})
	x = b.Node("Reshape", "rows", []string{x, b.Ints("shape", []int64{2}, []int64{-1, 4})})
	x = b.Node("MatMul", "product",
		[]string{x, b.Node("Identity", "same", []string{b.Init("v", []int64{4, 2}, make([]float32, 8))})})
	b.Output(x, graph.Float32, "N", 2)
	return b.Model()
}

// others are ways to make the node that makes a tensor another operator than its name says.
var others = map[string]func(m *graph.Model, n *onnxpb.NodeProto){
	"of another domain": func(m *graph.Model, n *onnxpb.NodeProto) { n.Domain = proto.String("another") },
	"a function of the model": func(m *graph.Model, n *onnxpb.NodeProto) {
		m.Functions = append(m.Functions, &onnxpb.FunctionProto{Name: n.OpType, Domain: proto.String("ai.onnx")})
	},
}

func changed(tensor string, change func(*graph.Model, *onnxpb.NodeProto)) *graph.Model {
	m := stranger()
	for _, n := range m.Graph.Node {
		if n.Output[0] == tensor {
			change(m, n)
		}
	}
	return m
}

// TestOperatorsAreToldByDomain: a name means ONNX's operator in ONNX's domain alone, and not if the model brings a
// function of that name along.
func TestOperatorsAreToldByDomain(t *testing.T) {
	plain := func(m *graph.Model, n *onnxpb.NodeProto) { n.Domain = proto.String("ai.onnx") }
	trains := func(m *graph.Model) []string {
		f, err := surgery.FlowOf(m)
		if err != nil {
			t.Fatal(err)
		}
		return collect(f, make([]int, len(f.Nodes)), 1)[0].Parameters
	}
	for what, c := range map[string]struct {
		tensor string
		ours   func(m *graph.Model) bool // the node is taken for ONNX's
	}{
		"weights of a product":     {"product", func(m *graph.Model) bool { return slices.Contains(trains(m), "v") }},
		"weights passed on":        {"same", func(m *graph.Model) bool { return slices.Contains(trains(m), "v") }},
		"weights of a convolution": {"conv", func(m *graph.Model) bool { return slices.Contains(trains(m), "w") }},
		"stride of a convolution":  {"conv", func(m *graph.Model) bool { return ownStride(m, m.Graph.Node[0]) == 16 }},
	} {
		if !c.ours(changed(c.tensor, plain)) {
			t.Errorf("%s: ONNX's own is not known as such", what)
		}
		for how, change := range others {
			if c.ours(changed(c.tensor, change)) {
				t.Errorf("%s: one %s is taken for ONNX's", what, how)
			}
		}
	}
}
