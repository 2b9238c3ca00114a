// Package graphtest builds models that tests of several packages share.
package graphtest

import (
	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Stranger is a small classifier. With one of Others, a node of it is not the operator that its name says.
func Stranger() *graph.Model {
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

// Others are ways to make the node that makes a tensor another operator than its name says.
var Others = map[string]func(m *graph.Model, n *onnxpb.NodeProto){
	"of another domain": func(m *graph.Model, n *onnxpb.NodeProto) { n.Domain = proto.String("another") },
	"a function of the model": func(m *graph.Model, n *onnxpb.NodeProto) {
		m.Functions = append(m.Functions, &onnxpb.FunctionProto{Name: n.OpType, Domain: proto.String("ai.onnx")})
	},
}

// Changed is Stranger after change has seen the node that makes tensor.
func Changed(tensor string, change func(*graph.Model, *onnxpb.NodeProto)) *graph.Model {
	m := Stranger()
	for _, n := range m.Graph.Node {
		if n.Output[0] == tensor {
			change(m, n)
		}
	}
	return m
}
