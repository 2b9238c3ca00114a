package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
	"finetune/onnx/trainable"
)

// picking is a model that calls pkg.pick, a function of its own.
func picking() *graph.Model {
	b := graph.NewBuilder("picking", 17)
	b.NodeN("pkg.pick", []string{b.Input("image", graph.Float32, "N", 3, 8, 8)}, []string{"map", "same"})
	b.Output("map", graph.Float32)
	b.Output("same", graph.Float32)
	m := b.Model()
	m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("pick"), Domain: proto.String("pkg"), Input: []string{"x"},
		Output: []string{"y", "x"}, Node: []*onnxpb.NodeProto{node("Relu", []string{"x"}, []string{"y"})}}}
	return m
}

func TestJoinMergesFunctions(t *testing.T) {
	a, b := picking(), picking()
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
	groups, err := trainable.Groups(body)
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
