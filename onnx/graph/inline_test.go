package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// branching is a model that calls pkg.pick, a function around an If; its
// branches use an attribute of the caller, one that has a default, and one
// that neither gives.
func branching() *graph.Model {
	ref := func(a graph.Attr, from string) graph.Attr {
		return &onnxpb.AttributeProto{Name: a.Name, Type: a.Type, RefAttrName: &from}
	}
	then := node("LeakyRelu", []string{"x"}, []string{"t"})
	then.Attribute = []graph.Attr{ref(graph.Float("alpha", 0), "slope")}
	other := node("LeakyRelu", []string{"x"}, []string{"e"})
	other.Attribute = []graph.Attr{ref(graph.Float("alpha", 0), "other"), ref(graph.Str("note", ""), "absent")}
	branch := func(n *onnxpb.NodeProto) *onnxpb.GraphProto {
		return &onnxpb.GraphProto{Name: n.Name, Node: []*onnxpb.NodeProto{n},
			Output: []*onnxpb.ValueInfoProto{{Name: &n.Output[0]}}}
	}
	pick := node("If", []string{"yes"}, []string{"y"})
	pick.Attribute = []graph.Attr{graph.Graph("then_branch", branch(then)), graph.Graph("else_branch", branch(other))}
	b := graph.NewBuilder("branching", 17)
	x := b.Input("image", graph.Float32, "N", 3, 8, 8)
	yes := b.InitTensor(&onnxpb.TensorProto{Name: proto.String("yes"), DataType: elem(graph.Bool), RawData: []byte{1}})
	b.NodeN("pkg.pick", []string{x, yes}, []string{"map", "same"}, graph.Float("slope", 0.25))
	b.Output("map", graph.Float32)
	b.Output("same", graph.Float32)
	m := b.Model()
	m.Functions = []*onnxpb.FunctionProto{{
		Name: proto.String("pick"), Domain: proto.String("pkg"), Input: []string{"x", "yes"}, Output: []string{"y", "x"},
		Attribute: []string{"slope", "absent"}, AttributeProto: []graph.Attr{graph.Float("other", 0.5)},
		Node: []*onnxpb.NodeProto{pick},
	}}
	return m
}

func TestInlineFillsAttributesInBranches(t *testing.T) {
	m, err := branching().Inline()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Functions) != 0 || len(m.Graph.Node) != 2 || m.Graph.Node[1].GetOpType() != "Identity" {
		t.Fatalf("%d functions, nodes %v", len(m.Functions), m.Graph.Node)
	}
	pick := m.Graph.Node[0]
	if !slices.Equal(pick.Input, []string{"yes"}) || !slices.Equal(pick.Output, []string{"map"}) {
		t.Errorf("If reads %v and makes %v", pick.Input, pick.Output)
	}
	for i, want := range []float32{0.25, 0.5} {
		inner := pick.Attribute[i].G.Node[0]
		if inner.Input[0] != "image" || len(inner.Attribute) != 1 || graph.FindFloat(inner, "alpha", 0) != want {
			t.Errorf("branch %d: %v, want alpha %g", i, inner, want)
		}
	}
	shapes, err := shape.Shapes(m, nil)
	if err != nil || !slices.Equal(shapes["map"], []int64{-1, 3, 8, 8}) {
		t.Errorf("shape of map %v, %v", shapes["map"], err)
	}
}

func TestInlineKeepsFunctionsThatBranchesCall(t *testing.T) {
	m := read(t, "graph_functions.onnx")
	call := node("act", []string{"flat"}, []string{"inner"})
	call.Domain = proto.String("pkg")
	choose := node("If", []string{"flat"}, []string{"chosen"})
	choose.Attribute = []graph.Attr{graph.Graph("then_branch", &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{call}})}
	m.Graph.Node = append(m.Graph.Node, choose)
	flat, err := m.Inline()
	if err != nil || len(flat.Functions) != 3 {
		t.Errorf("%d functions are left, %v; the branch needs them", len(flat.Functions), err)
	}
}

func TestInlineRefusesOtherOpset(t *testing.T) {
	m := read(t, "graph_functions.onnx")
	version := int64(12)
	m.Functions[0].OpsetImport = []*onnxpb.OperatorSetIdProto{{Version: &version}}
	if _, err := m.Inline(); err == nil || !strings.Contains(err.Error(), "uses version 12") {
		t.Errorf("got %v", err)
	}
}

func TestInlineRefusesEndlessCalls(t *testing.T) {
	m := read(t, "graph_functions.onnx")
	for _, f := range m.Functions {
		if f.GetName() == "act" { // now calls itself
			f.Node[0].OpType, f.Node[0].Domain = f.Name, f.Domain
		}
	}
	if _, err := m.Inline(); err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("got %v", err)
	}
}

// TestCallsOfFunctions: each call's names are its own; inputs and outputs may be left out; ONNX's domain has two names.
func TestCallsOfFunctions(t *testing.T) {
	b := graph.NewBuilder("calls", 17)
	x := b.Input("x", graph.Float32, 2)
	b.NodeN("f", []string{x}, []string{"a"})
	b.NodeN("f", []string{"a", x}, []string{"", "b"})
	b.NodeN("f", []string{"b", ""}, []string{"c", ""})
	b.Output("c", graph.Float32)
	m := b.Model()
	for _, n := range m.Graph.Node {
		n.Name = proto.String("same")
	}
	m.Graph.Node[1].Name = nil
	f := &onnxpb.FunctionProto{Name: proto.String("f"), Domain: proto.String("ai.onnx"), Input: []string{"p", "q"},
		Output: []string{"r", "s"},
		Node: []*onnxpb.NodeProto{node("Odd", []string{"p", "q"}, []string{"t"}),
			{OpType: proto.String("Add"), Input: []string{"t", "p"}, Output: []string{"r"}},
			node("Relu", []string{"r"}, []string{"s"})},
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String("ai.onnx"), Version: proto.Int64(17)},
			{Domain: proto.String("org.example"), Version: proto.Int64(3)}}}
	m.Functions = []*onnxpb.FunctionProto{f}
	flat, err := m.Inline()
	if err != nil {
		t.Fatal(err)
	}
	seen, names := map[string]bool{}, map[string]bool{}
	for _, n := range flat.Graph.Node {
		for _, out := range n.Output {
			if seen[out] {
				t.Errorf("%q is made twice", out)
			}
			seen[out] = true
		}
		if name := n.GetName(); name != "" && names[name] {
			t.Errorf("two nodes are called %q", name)
		} else if name == "" != (n.GetOpType() == "Add") {
			t.Errorf("%v", n)
		}
		names[n.GetName()] = true
	}
	if len(flat.Graph.Node) != 9 || !seen["a"] || !seen["b"] || !seen["c"] ||
		!slices.Equal(flat.Graph.Node[0].Input, []string{"x", ""}) ||
		!slices.Equal(flat.Graph.Node[3].Input, []string{"a", "x"}) {
		t.Errorf("%v", flat.Graph.Node)
	}
	for i := range f.OpsetImport {
		old := f.OpsetImport[i].Version
		f.OpsetImport[i].Version = proto.Int64(12)
		if _, err := m.Inline(); (err != nil) != (i == 0) || err != nil && !strings.Contains(err.Error(), "uses version 12") {
			t.Errorf("another version of %s: %v", f.OpsetImport[i].GetDomain(), err)
		}
		f.OpsetImport[i].Version = old
	}
	call := node("f", []string{"x"}, []string{"inner"})
	for depth := range 3 { // branches keep their calls, and so the functions
		call = &onnxpb.NodeProto{OpType: proto.String("If"), Input: []string{"x"},
			Output:    []string{fmt.Sprint("choice", depth)},
			Attribute: []graph.Attr{graph.Graph("then_branch", &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{call}})}}
		with := &graph.Model{ModelProto: proto.Clone(m.ModelProto).(*onnxpb.ModelProto)}
		with.Graph.Node = append(with.Graph.Node, call)
		if flat, err := with.Inline(); err != nil || len(flat.Functions) != 1 {
			t.Errorf("called %d deep: %v", depth+1, err)
		}
	}
	if !m.HasChecksum() || m.AddChecksum() != nil || len(m.MetadataProps) != 0 {
		t.Errorf("functions come behind a checksum in a file, so it must have none: %v", m.MetadataProps)
	}
}
