package surgery

import (
	"fmt"
	"maps"
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// CheckDivisors returns an error of kind failure.Data that names a node which
// divides integers by zero, or by what is computed and may be zero. Old versions
// of ONNX Runtime crash there.
func CheckDivisors(m *graph.Model) error {
	flat, err := m.Inline()
	if err != nil {
		return err
	}
	nodes, err := flat.Sorted()
	if err != nil {
		return err
	}
	d := &divisors{view: &view{Inferer: &shape.Inferer{Model: flat, Nodes: nodes}}}
	if err := d.walk(flat.Graph, nil); err != nil {
		return m.Badf("%w", err)
	}
	return nil
}

type divisors struct{ view *view }

// walk looks at g and the graphs inside it; outer are the constants around it.
func (d *divisors) walk(g *onnxpb.GraphProto, outer map[string]*onnxpb.TensorProto) error {
	known := maps.Clone(outer)
	if known == nil {
		known = map[string]*onnxpb.TensorProto{}
	}
	for _, in := range g.Input { // hides one outside, and a caller may feed another value
		delete(known, in.GetName())
	}
	for _, t := range g.Initializer {
		if !slices.ContainsFunc(g.Input, func(in *onnxpb.ValueInfoProto) bool { return in.GetName() == t.GetName() }) {
			known[t.GetName()] = t
		}
	}
	for _, n := range g.Node {
		for _, out := range n.Output {
			delete(known, out)
			if d.view.Model.Op(n).Standard() == "Constant" {
				known[out] = constantTensor(n)
			}
		}
	}
	for _, n := range g.Node {
		op := d.view.Model.Op(n).Standard()
		if (op == "Div" || op == "Mod") && len(n.Input) > 1 && !d.sound(n.Input[1], known) {
			return fmt.Errorf("node %s divides integers by %q, which is zero or may be", graph.Label(n), n.Input[1])
		}
		for _, sub := range graph.Subgraphs(n) {
			if err := d.walk(sub, known); err != nil {
				return err
			}
		}
	}
	return nil
}

// sound reports whether the divisor is a constant without zeros, or no integer.
func (d *divisors) sound(divisor string, known map[string]*onnxpb.TensorProto) bool {
	if t := known[divisor]; t != nil {
		if isFloat(t.GetDataType()) {
			return true
		}
		values, err := graph.IntsOf(t)
		return err == nil && !slices.Contains(values, 0)
	}
	return isFloat(d.view.elem(divisor))
}

func isFloat(elem int32) bool {
	return elem == graph.Float32 || elem == graph.Float64 || elem == graph.Float16 ||
		elem == int32(onnxpb.TensorProto_BFLOAT16)
}

// constantTensor is what a Constant node holds, nil if it is no number.
func constantTensor(n *onnxpb.NodeProto) *onnxpb.TensorProto {
	if t := graph.Find(n, "value").GetT(); t != nil {
		return t
	}
	switch a := graph.Find(n, "value_int"); {
	case a != nil:
		return graph.IntTensor("", nil, []int64{a.GetI()})
	case graph.Find(n, "value_ints") != nil:
		v := graph.FindInts(n, "value_ints")
		return graph.IntTensor("", []int64{int64(len(v))}, v)
	case graph.Find(n, "value_float") != nil, graph.Find(n, "value_floats") != nil:
		float := graph.Float32
		return &onnxpb.TensorProto{DataType: &float}
	}
	return nil
}
