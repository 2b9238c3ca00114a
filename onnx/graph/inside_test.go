package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// TestNamesInsideNodes: a graph inside a node reads what is around it, but a name of its own is no other's.
func TestNamesInsideNodes(t *testing.T) {
	for name, c := range map[string]struct {
		inner  *onnxpb.GraphProto
		circle bool
	}{
		"an input":       {&onnxpb.GraphProto{Input: []*onnxpb.ValueInfoProto{value("late")}}, false},
		"an initializer": {&onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{named("late")}}, false},
		"a sparse one":   {&onnxpb.GraphProto{SparseInitializer: []*onnxpb.SparseTensorProto{sparse("late")}}, false},
		"a node's":       {&onnxpb.GraphProto{Node: []*onnxpb.NodeProto{node("Constant", nil, []string{"late"})}}, false},
		"one outside":    {&onnxpb.GraphProto{}, true},
	} {
		for _, list := range []bool{false, true} {
			for _, read := range []bool{false, true} { // by a node, or as an output
				inner := proto.Clone(c.inner).(*onnxpb.GraphProto)
				if read {
					inner.Node = append(inner.Node, node("Relu", []string{"late"}, []string{"inner"}))
				} else {
					inner.Output = []*onnxpb.ValueInfoProto{value("late")}
				}
				m := tiny()
				choice := node("If", []string{"image"}, []string{"choice"})
				choice.Attribute = []graph.Attr{graph.Graph("then_branch", inner)}
				if list {
					choice.Attribute = []graph.Attr{{Name: proto.String("branches"), Graphs: []*onnxpb.GraphProto{inner}}}
				}
				m.Graph.Node = append(m.Graph.Node, choice, node("Relu", []string{"choice"}, []string{"late"}))
				if err := m.Check(); (err != nil) != c.circle {
					t.Errorf("%s (a list: %v, read by a node: %v): %v", name, list, read, err)
				}
			}
		}
	}
	m := tiny() // what a branch reads comes before it
	choice := node("If", []string{"image"}, []string{"choice"})
	choice.Attribute = []graph.Attr{graph.Graph("then_branch", branchOf(nil, "late"))}
	m.Graph.Node = append([]*onnxpb.NodeProto{choice},
		append(m.Graph.Node, node("Relu", []string{"conv"}, []string{"late"}))...)
	nodes, err := m.Sorted()
	if err != nil || nodes[2].Output[0] != "choice" || nodes[1].Output[0] != "late" {
		t.Errorf("%v, %v", nodes, err)
	}
}

// TestNamesAreUnique: an input named twice is refused; one that is an initializer too has a default.
func TestNamesAreUnique(t *testing.T) {
	m := tiny()
	m.Graph.Input = append(m.Graph.Input, m.Graph.Input[0])
	if err := m.Check(); err == nil || !strings.Contains(err.Error(), `inputs: tensor "image" is made twice`) {
		t.Errorf("an input named twice: %v", err)
	}
	m = tiny()
	m.Graph.Input = append(m.Graph.Input, &onnxpb.ValueInfoProto{Name: proto.String("conv.weight")})
	if err := m.Check(); err != nil || len(m.Inputs()) != 1 {
		t.Errorf("a default: %v, inputs %v", err, m.Inputs())
	}
}

// TestStridesAreNotZero: old versions of ONNX Runtime divide by a stride of zero and crash.
func TestStridesAreNotZero(t *testing.T) {
	for _, strides := range [][]int64{{0, 1}, {1, 0}, {-1, 1}, {2, 1}} {
		b := graph.NewBuilder("strides", 17)
		x := b.Input("x", graph.Float32, "N", 1, 8, 8)
		b.Output(b.Node("MaxPool", "y", []string{x}, graph.Ints("kernel_shape", 1, 1), graph.Ints("strides", 1, 1)),
			graph.Float32, "N", 1, "H", "W")
		m := b.Model()
		graph.Find(m.Graph.Node[0], "strides").Ints = strides
		data, err := proto.Marshal(m.ModelProto)
		if err != nil {
			t.Fatal(err)
		}
		_, err = graph.Parse(data)
		if strides[0] > 0 && strides[1] > 0 {
			if err != nil {
				t.Errorf("%v: %v", strides, err)
			}
		} else if failure.KindOf(err) != failure.DataKind || err == nil ||
			!strings.Contains(fmt.Sprint(err), `"y" (MaxPool): a stride of`) {
			t.Errorf("%v: %v, want bad data that names the node", strides, err)
		}
	}
}
