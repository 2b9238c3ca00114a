package trainable

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/graphtest"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

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
		if !c.ours(graphtest.Changed(c.tensor, plain)) {
			t.Errorf("%s: ONNX's own is not known as such", what)
		}
		for how, change := range graphtest.Others {
			if c.ours(graphtest.Changed(c.tensor, change)) {
				t.Errorf("%s: one %s is taken for ONNX's", what, how)
			}
		}
	}
}
