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
				known[out] = graph.ConstantOf(n)
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
		if graph.IsFloat(t.GetDataType()) {
			return true
		}
		values, err := graph.IntsOf(t)
		return err == nil && !slices.Contains(values, 0)
	}
	return graph.IsFloat(d.view.elem(divisor))
}
