package graph_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
)

func tiny() *graph.Model {
	b := graph.NewBuilder("tiny", 17)
	x := b.Input("image", graph.Float32, "N", 3, 8, 8)
	w := b.Init("conv.weight", []int64{4, 3, 3, 3}, make([]float32, 108))
	y := b.Node("Conv", "conv", []string{x, w}, graph.Ints("pads", 1, 1, 1, 1))
	y = b.Node("Relu", "", []string{y})
	b.Output(y, graph.Float32, "N", 4, 8, 8)
	return b.Model()
}

func TestBuilderRoundTrip(t *testing.T) {
	m := tiny()
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	back, err := graph.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(m.ModelProto, back.ModelProto) {
		t.Errorf("parsed model differs:\n%v\n%v", m.ModelProto, back.ModelProto)
	}
}

// The file format of each operator set, by onnx/docs/Versioning.md.
func TestFormatOfOperatorSets(t *testing.T) {
	for i, want := range []int64{4, 4, 4, 5, 6, 7, 7, 7, 8, 8, 8, 8, 9, 9, 10, 10, 11, 12, 13, 13} {
		opset := int64(7 + i)
		if got := graph.NewBuilder("g", opset).Model(); got.GetIrVersion() != want || got.Opset() != opset {
			t.Errorf("operator set %d has format %d, want %d", got.Opset(), got.GetIrVersion(), want)
		}
	}
}

func TestBuilderPanics(t *testing.T) {
	for name, f := range map[string]func(b *graph.Builder){
		"name used twice":        func(b *graph.Builder) { b.Init("x", nil, []float32{1}) },
		"name used by a node":    func(b *graph.Builder) { b.Node("Relu", "x", []string{"x"}) },
		"name used by a tensor":  func(b *graph.Builder) { b.InitTensor(graph.FloatTensor("x", nil, []float32{1})) },
		"name used by an input":  func(b *graph.Builder) { b.Input("x", graph.Float32, 1) },
		"name used by integers":  func(b *graph.Builder) { b.Ints("x", nil, []int64{1}) },
		"integers that are few":  func(b *graph.Builder) { b.Ints("i", []int64{2}, []int64{1}) },
		"data of another length": func(b *graph.Builder) { b.Init("w", []int64{2}, []float32{1}) },
		"missing input":          func(b *graph.Builder) { b.Node("Relu", "y", []string{"absent"}); b.Model() },
		"missing output":         func(b *graph.Builder) { b.Output("absent", graph.Float32); b.Model() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			b := graph.NewBuilder("g", 17)
			b.Input("x", graph.Float32, 1)
			f(b)
		})
	}
}
