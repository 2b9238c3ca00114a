package surgery

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/graphtest"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// TestOperatorsAreToldByDomain: a name means ONNX's operator in ONNX's domain alone, and not if the model brings a
// function of
// that name along.
func TestOperatorsAreToldByDomain(t *testing.T) {
	plain := func(m *graph.Model, n *onnxpb.NodeProto) { n.Domain = proto.String("ai.onnx") }
	known := func(tensor string) func(m *graph.Model) bool {
		return func(m *graph.Model) bool {
			m.Graph.Output = nil
			shapes, err := shape.Shapes(m, nil)
			return err == nil && shapes[tensor] != nil
		}
	}
	for what, c := range map[string]struct {
		tensor string
		ours   func(m *graph.Model) bool // the node is taken for ONNX's
	}{
		"shape of a convolution":  {"conv", known("conv")},
		"shape of a product":      {"product", known("product")},
		"value of a view":         {"rows", known("rows")},
		"layout by a convolution": {"conv", func(m *graph.Model) bool { return m.LayoutByUse("image") == "NCHW" }},
		"an identity of a parameter": {"same",
			func(m *graph.Model) bool { UnshareInitializers(m); return m.Initializers()["same"] != nil }},
		"a cut at a pooling": {"pool", func(m *graph.Model) bool {
			v, err := survey(m)
			return err == nil && v.flow().pooled(m.Graph.Node[3]) == "back"
		}},
		"use": {"pool", func(m *graph.Model) bool { return Uses(m, "GlobalAveragePool") }},
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

// TestRaiseOpset: the version rises where that changes nothing; what it changed is named, whichever way its domain is
// written.
func TestRaiseOpset(t *testing.T) {
	m := graphtest.Stranger()
	if err := m.RaiseOpset(); err != nil || m.Opset() != 18 {
		t.Errorf("%v, operator set %d", err, m.Opset())
	}
	for _, domain := range []string{"", "ai.onnx"} {
		m := graphtest.Stranger()
		m.Graph.Node[3].OpType, m.Graph.Node[3].Domain = proto.String("ReduceMean"), proto.String(domain)
		if err := m.RaiseOpset(); err == nil || !strings.Contains(err.Error(), `"pool"`) || m.Opset() != 17 {
			t.Errorf("domain %q: %v, operator set %d", domain, err, m.Opset())
		}
		m.Graph.Node[3].Domain = proto.String("another")
		if err := m.RaiseOpset(); err != nil || m.Opset() != 18 {
			t.Errorf("one of another domain: %v, operator set %d", err, m.Opset())
		}
	}
	for how, change := range graphtest.Others {
		err := graphtest.Changed("pool", change).RaiseOpset()
		if (err != nil) != strings.Contains(how, "function") {
			t.Errorf("%s: %v", how, err)
		}
	}
	old := graphtest.Stranger()
	old.OpsetImport[0].Version = proto.Int64(12)
	if err := old.RaiseOpset(); err == nil || !strings.Contains(err.Error(), "operator set 12") {
		t.Errorf("%v", err)
	}
}
