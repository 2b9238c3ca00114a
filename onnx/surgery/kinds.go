package surgery

import (
	"slices"
	"strings"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// attends reports whether the graph computes attention: a product with a softmax.
func (v *view) attends() bool {
	return slices.ContainsFunc(v.Nodes, func(n *onnxpb.NodeProto) bool {
		switch op := v.Model.Op(n); op {
		case graph.Op{Name: "Attention"}, graph.Op{Domain: graph.Contrib, Name: "Attention"},
			graph.Op{Domain: graph.Contrib, Name: "MultiHeadAttention"}:
			return true
		default:
			return op.Standard() == "MatMul" && v.made(graph.FirstInput(n)) == "Softmax"
		}
	})
}

// counts reports whether convolutions or poolings are done in integers by operators
// made for that, whose outputs mean nothing without a scale beside them.
func (v *view) counts() bool {
	return slices.ContainsFunc(v.Nodes, func(n *onnxpb.NodeProto) bool {
		switch op := v.Model.Op(n); op {
		case graph.Op{Name: "ConvInteger"}:
			return true
		default:
			return !op.Local && (op.Domain == graph.Contrib || graph.IsONNX(op.Domain)) &&
				strings.HasPrefix(op.Name, "QLinear")
		}
	})
}
