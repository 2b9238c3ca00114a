package surgery

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
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

// TestRaiseOpset: the version rises where that changes nothing; what it changed is named, whichever way its domain is
// written.
func TestRaiseOpset(t *testing.T) {
	m := stranger()
	if err := m.RaiseOpset(); err != nil || m.Opset() != 18 {
		t.Errorf("%v, operator set %d", err, m.Opset())
	}
	for _, domain := range []string{"", "ai.onnx"} {
		m := stranger()
		m.Graph.Node[3].OpType, m.Graph.Node[3].Domain = proto.String("ReduceMean"), proto.String(domain)
		if err := m.RaiseOpset(); err == nil || !strings.Contains(err.Error(), `"pool"`) || m.Opset() != 17 {
			t.Errorf("domain %q: %v, operator set %d", domain, err, m.Opset())
		}
		m.Graph.Node[3].Domain = proto.String("another")
		if err := m.RaiseOpset(); err != nil || m.Opset() != 18 {
			t.Errorf("one of another domain: %v, operator set %d", err, m.Opset())
		}
	}
	for how, change := range others {
		err := changed("pool", change).RaiseOpset()
		if (err != nil) != strings.Contains(how, "function") {
			t.Errorf("%s: %v", how, err)
		}
	}
	old := stranger()
	old.OpsetImport[0].Version = proto.Int64(12)
	if err := old.RaiseOpset(); err == nil || !strings.Contains(err.Error(), "operator set 12") {
		t.Errorf("%v", err)
	}
}
