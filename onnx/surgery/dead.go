package surgery

import (
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// WithoutDead are the nodes that an output needs. Rules give the derivative of
// every input; those of frozen ones are left out here.
func WithoutDead(nodes []*onnxpb.NodeProto, outputs []*onnxpb.ValueInfoProto) []*onnxpb.NodeProto {
	needed := map[string]bool{}
	for _, out := range outputs {
		needed[out.GetName()] = true
	}
	var live []*onnxpb.NodeProto
	for _, n := range slices.Backward(nodes) {
		if !slices.ContainsFunc(n.Output, func(out string) bool { return needed[out] }) {
			continue
		}
		live = append(live, n)
		for _, in := range graph.Reads(n) {
			needed[in] = true
		}
	}
	slices.Reverse(live)
	return live
}
