package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
	"finetune/onnx/surgery"
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

func TestJoinMergesFunctions(t *testing.T) {
	a, b := branching(), branching()
	b.Graph.Output = b.Graph.Output[:1]
	m, err := surgery.Join(a, b, map[string]string{"image": "map"}, "b.")
	if err == nil || !strings.Contains(err.Error(), `"map" is made twice`) {
		t.Errorf("two outputs called map: %v, %v", m, err)
	}
	a.Functions[0].Node[0].Name = proto.String("other")
	if _, err = surgery.Join(a, b, map[string]string{"image": "map"}, "b."); err == nil ||
		!strings.Contains(err.Error(), "define function pkg.pick differently") {
		t.Errorf("functions that differ: %v", err)
	}
}

func TestWeightsInConstantsBecomeInitializers(t *testing.T) {
	b := graph.NewBuilder("old", 13)
	x := b.Input("image", graph.Float32, "N", 3, 8, 8)
	w := b.Node("Constant", "w", nil,
		graph.Tensor("value", graph.FloatTensor("", []int64{4, 3, 1, 1}, make([]float32, 12))))
	x = b.Node("Conv", "map", []string{x, b.Node("Identity", "same", []string{w})})
	b.Output(x, graph.Float32, "N", 4, 8, 8)
	body, err := surgery.Features(b.Model(), "map")
	if err != nil {
		t.Fatal(err)
	}
	groups, err := surgery.Groups(body)
	if err != nil || len(groups) != 1 || !slices.Equal(groups[0].Parameters, []string{"w"}) ||
		body.Initializers()["w"] == nil {
		t.Errorf("%+v, %v", groups, err)
	}
}

func TestFeaturesOfIntegerMapAreFloat(t *testing.T) {
	b := graph.NewBuilder("quantised", 13)
	x := b.Input("image", graph.Float32, "N", 3, 8, 8)
	scale := b.Init("scale", nil, []float32{0.1})
	zero := b.InitTensor(&onnxpb.TensorProto{Name: proto.String("zero"), DataType: elem(graph.Uint8), RawData: []byte{3}})
	b.Output(b.Node("QuantizeLinear", "map", []string{x, scale, zero}), graph.Uint8, "N", 3, 8, 8)
	body, err := surgery.Features(b.Model(), "map")
	if err != nil {
		t.Fatal(err)
	}
	if op := body.Graph.Node[1].GetOpType(); op != "Cast" {
		t.Errorf("node after the map is %s, want Cast", op)
	}
}
