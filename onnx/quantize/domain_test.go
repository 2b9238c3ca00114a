package quantize

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// An operator of another domain is not the one that its name says, nor is one that the model brings along: what would
// be
// rewritten around it is refused, and told why.
func TestOperatorsOfOtherDomains(t *testing.T) {
	rewrites := map[string]func(m *graph.Model) (*graph.Model, error){
		"Fold":      Fold,
		"HalfWhole": HalfWhole,
		"Int8":      func(m *graph.Model) (*graph.Model, error) { return Int8(m, nil) },
	}
	for _, op := range []string{"Conv", "BatchNormalization", "Add", "MaxPool", "Relu", "Clip", "Cast", "Resize", "MatMul",
		"Affine"} {
		for name, rewrite := range rewrites {
			foreign := one(noBias, copied)
			foreign.Graph.Node[1].OpType, foreign.Graph.Node[1].Domain = proto.String(op), proto.String("another")
			if _, err := rewrite(foreign); failure.KindOf(err) != failure.UsageKind ||
				!strings.Contains(err.Error(), `operator `+op+` of domain "another"`) {
				t.Errorf("%s of %s: %v", name, op, err)
			}
			local := one(noBias, copied)
			local.Graph.Node[1].OpType = proto.String(op)
			local.Functions = []*onnxpb.FunctionProto{{Name: proto.String(op)}}
			if _, err := rewrite(local); failure.KindOf(err) != failure.UsageKind ||
				!strings.Contains(err.Error(), op+`, a function of the model's own in domain "ai.onnx"`) {
				t.Errorf("%s of a function %s: %v", name, op, err)
			}
		}
	}
	own := one(noBias, copied)
	own.Graph.Node[0].Domain = proto.String("another")
	if got := Activations(own); len(got) != 0 {
		t.Errorf("observes %v of another domain's Conv", got)
	}
	m := one(noBias, func(b *graph.Builder, conv string) string { return norm(b, conv, 3) })
	for _, n := range m.Graph.Node {
		n.Domain = proto.String("ai.onnx")
	}
	if folded, err := Fold(m); err != nil || operators(folded)["BatchNormalization"] != 0 {
		t.Errorf("ONNX's own under its other name is not folded: %v", err)
	}
}
