package graph_test

import (
	"slices"
	"testing"

	"finetune/onnx/graph"
)

func TestUntie(t *testing.T) {
	b := graph.NewBuilder("tied", 17)
	x := b.Input("x", graph.Float32, "N", 2)
	first := b.Init("first", []int64{2}, []float32{1, 1})
	second := b.Node("Identity", "second", []string{first})
	third := b.Node("Identity", "third", []string{second})
	out := b.Node("Identity", "out", []string{first}) // an output stays a node
	b.Output(b.Node("Mul", "scaled", []string{b.Node("Add", "sum", []string{x, second}), third}), graph.Float32, "N", 2)
	b.Output(out, graph.Float32, 2)
	m := b.Model()
	m.Untie()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, n := range m.Graph.Node {
		kinds = append(kinds, n.GetOpType())
	}
	if want := []string{"Identity", "Add", "Mul"}; !slices.Equal(kinds, want) {
		t.Errorf("nodes %v, want %v", kinds, want)
	}
	if err := m.UpdateInitializers(map[string][]float32{"third": {5, 6}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{"first": {1, 1}, "second": {1, 1}, "third": {5, 6}} {
		if got, err := graph.FloatsOf(m.Initializers()[name]); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is %v, %v; want %v", name, got, err, want)
		}
	}
}
