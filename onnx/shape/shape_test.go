package shape_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// dims reads a declared shape; -1 where it is open.
func dims(v *onnxpb.ValueInfoProto) []int64 {
	out := []int64{}
	for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
		if n, ok := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); ok {
			out = append(out, n.DimValue)
		} else {
			out = append(out, -1)
		}
	}
	return out
}

// want: testdata/reference/graph_shapes.py, ONNX's own shape inference.
func TestShapesEqualONNX(t *testing.T) {
	for _, file := range []string{"graph_shapes_opset11.onnx", "graph_shapes_opset13.onnx", "graph_shapes_opset18.onnx"} {
		m, err := graph.Read(filepath.Join("../../testdata/models", file))
		if err != nil {
			t.Fatal(err)
		}
		want := m.Graph.ValueInfo
		m.Graph.ValueInfo = nil // or it would answer for us
		got, err := shape.Shapes(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) < 100 {
			t.Fatalf("%s: %d shapes to compare", file, len(want))
		}
		for _, v := range want {
			if v.GetType().GetTensorType().GetShape() == nil {
				continue
			}
			if g, ok := got[v.GetName()]; !ok || !slices.EqualFunc(g, dims(v), agrees) {
				t.Errorf("%s: %s has shape %v, ONNX says %v", file, v.GetName(), g, dims(v))
			}
		}
	}
}

// agrees lets this package know more than ONNX does (a shape through a Cast).
func agrees(got, want int64) bool { return got == want || want < 0 }

func TestShapesFollowTheGivenInput(t *testing.T) {
	m := tiny()
	got, err := shape.Shapes(m, map[string][]int64{"image": {5, 3, 8, 8}})
	if err != nil || !slices.Equal(got["conv"], []int64{5, 4, 8, 8}) {
		t.Errorf("conv: %v, %v", got["conv"], err)
	}
	if got, err = shape.Shapes(m, nil); err != nil || !slices.Equal(got["conv"], []int64{-1, 4, 8, 8}) {
		t.Errorf("conv: %v, %v", got["conv"], err)
	}
	if _, err = shape.Shapes(m, map[string][]int64{"pixels": {1}}); err == nil {
		t.Error("an unknown input was accepted")
	}
}

// A graph in which nodes wait for each other has no shapes, and is told.
func TestShapesOfACircle(t *testing.T) {
	m := tiny()
	m.Graph.Node[0].Input[0] = m.Graph.Node[1].Output[0]
	if got, err := shape.Shapes(m, nil); err == nil || !strings.Contains(err.Error(), "its own output") || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestShapesOfUnknownOperator(t *testing.T) {
	b := graph.NewBuilder("g", 17)
	x := b.Input("x", graph.Float32, 2, 3)
	y := b.Node("org.example.Odd", "odd", []string{x})
	b.Node("Relu", "after", []string{y})
	b.Output("after", graph.Float32)
	got, err := shape.Shapes(b.Model(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := got["odd"]; ok {
		t.Errorf("odd has shape %v, want none", s)
	}
}
