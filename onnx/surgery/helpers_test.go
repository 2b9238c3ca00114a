package surgery_test

import (
	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

func tiny() *graph.Model {
	b := graph.NewBuilder("tiny", 17)
	x := b.Input("image", graph.Float32, "N", 3, 8, 8)
	w := b.Init("conv.weight", []int64{4, 3, 3, 3}, make([]float32, 108))
	y := b.Node("Conv", "conv", []string{x, w}, graph.Ints("pads", 1, 1, 1, 1))
	y = b.Node("Relu", "", []string{y})
	b.Output(y, graph.Float32, "N", 4, 8, 8)
	return b.Model()
}

func node(op string, inputs, outputs []string) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: &op, Input: inputs, Output: outputs, Name: &outputs[0]}
}

func elem(e int32) *int32 { return &e }

// branchOf is a graph inside a node, with the outputs named.
func branchOf(nodes []*onnxpb.NodeProto, outputs ...string) *onnxpb.GraphProto {
	g := &onnxpb.GraphProto{Name: proto.String("branch"), Node: nodes}
	for _, o := range outputs {
		g.Output = append(g.Output, &onnxpb.ValueInfoProto{Name: &o})
	}
	return g
}
