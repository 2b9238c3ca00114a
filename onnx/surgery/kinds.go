package surgery

import (
	"slices"
	"strings"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

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
