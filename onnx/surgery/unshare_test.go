package surgery_test

import (
	"slices"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// A vector that several inputs share, as bias and running mean of a fresh
// network do, gets a copy for each; a matrix does not.
func TestUntieVectors(t *testing.T) {
	b := graph.NewBuilder("shared", 17)
	x := b.Input("x", graph.Float32, "N", 2)
	zeros, ones := b.Init("zeros", []int64{2}, []float32{0, 0}), b.Init("ones", []int64{2}, []float32{1, 1})
	w := b.Init("w", []int64{2, 2}, []float32{1, 2, 3, 4})
	x = b.Node("BatchNormalization", "norm", []string{x, ones, zeros, zeros, ones})
	x = b.Node("MatMul", "once", []string{x, w})
	b.Output(b.Node("MatMul", "twice", []string{x, w}), graph.Float32, "N", 2)
	m := b.Model()
	surgery.UnshareInitializers(m)
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	if got, want := m.Graph.Node[0].Input[1:],
		[]string{"ones", "zeros", "zeros/norm.3", "ones/norm.4"}; !slices.Equal(got, want) {
		t.Errorf("reads %v, want %v", got, want)
	}
	if got, err := graph.FloatsOf(m.Initializers()["ones/norm.4"]); err != nil || !slices.Equal(got, []float32{1, 1}) {
		t.Errorf("the copy is %v, %v", got, err)
	}
	if m.Graph.Node[1].Input[1] != "w" || m.Graph.Node[2].Input[1] != "w" {
		t.Error("a matrix was untied")
	}
}

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
	surgery.UnshareInitializers(m)
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
