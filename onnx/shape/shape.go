// Package shape infers the shapes of a graph's tensors, and the integers in those
// that hold shapes, as far as the model says.
package shape

import (
	"maps"
	"math"
	"slices"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Shapes infers the shapes of the main graph's tensors. Inputs gives the
// shapes of graph inputs by name; one that is missing takes its declared
// shape. In the answer a dimension that depends on the run is -1, and a tensor
// of unknown shape (an operator that has no rule, say) is missing.
// Calls of model functions have no rule: see Inline.
func Shapes(m *graph.Model, inputs map[string][]int64) (map[string][]int64, error) {
	shapes, _, err := Infer(m, inputs)
	return shapes, err
}

// Infer is Shapes with the values of small integer tensors that follow from
// the shapes, as an exporter computes limits of slices and shapes of views.
func Infer(m *graph.Model, inputs map[string][]int64) (shapes, values map[string][]int64, err error) {
	s, err := Inferred(m, inputs)
	if err != nil {
		return nil, nil, err
	}
	maps.DeleteFunc(s.ints, func(_ string, v []int64) bool { return slices.Contains(v, hidden) })
	return s.Dims, s.ints, nil
}

// A rule infers the outputs of one node from its inputs. It leaves out what it
// does not know.
type rule func(s *Inferer, n *onnxpb.NodeProto)

// Inferer holds what is known so far about the tensors of a graph.
type Inferer struct {
	Model *graph.Model
	Nodes []*onnxpb.NodeProto  // sorted
	Dims  map[string][]int64   // shape; -1 is a dimension known only at run time
	ints  map[string][]int64   // value of a small integer tensor, row-major; hidden where unknown
	real  map[string][]float64 // value of a small float tensor
}

// hidden stands for an integer known only at run time: a number that exporters
// do not write, as they do -1 (Reshape) and the ends of int64 (Slice).
const hidden = math.MinInt64/2 + 12345

// maxValue is the longest integer tensor whose value is followed. Shapes and
// axes are shorter.
const maxValue = 256

// Inferred is all that can be inferred where the inputs have the given shapes. Where
// the batch is all that is open of the inputs, what is left open is inferred for some batches, too: what
// these agree in does not depend on the batch.
func Inferred(m *graph.Model, inputs map[string][]int64) (*Inferer, error) {
	all, err := inferred(m, inputs)
	open := openBatch(m, inputs)
	if err != nil || open == nil {
		return all, err
	}
	var some *Inferer
	for _, batch := range []int64{1, 2, 3} {
		given := maps.Clone(inputs)
		if given == nil {
			given = map[string][]int64{}
		}
		for name, x := range open {
			given[name] = append([]int64{batch}, x[1:]...)
		}
		one, err := inferred(m, given)
		if err != nil {
			return nil, err
		}
		if some == nil {
			some = one
		} else {
			some.agree(one)
		}
	}
	all.fill(some)
	return all, nil
}

func inferred(m *graph.Model, inputs map[string][]int64) (*Inferer, error) {
	s := &Inferer{Model: m, Dims: map[string][]int64{}, ints: map[string][]int64{}, real: map[string][]float64{}}
	moved := false // a declared size was overridden, so value_info may be wrong
	left := len(inputs)
	for _, in := range m.Graph.Input {
		dims := graph.Declared(in)
		if given, ok := inputs[in.GetName()]; ok {
			left--
			moved = moved || !fits(dims, given)
			dims = given
		}
		s.put(in.GetName(), dims)
	}
	if left > 0 {
		return nil, m.Badf("shapes are given for inputs that it does not have; its inputs are %v", m.InputNames())
	}
	for _, t := range m.Graph.Initializer {
		s.constant(t.GetName(), t)
	}
	hints := map[string]*onnxpb.ValueInfoProto{}
	if !moved {
		for _, v := range append(slices.Clip(m.Graph.ValueInfo), m.Graph.Output...) {
			hints[v.GetName()] = v
		}
	}
	var err error
	if s.Nodes, err = m.Sorted(); err != nil {
		return nil, err
	}
	for _, n := range s.Nodes {
		s.node(n, hints)
	}
	return s, nil
}

func (s *Inferer) node(n *onnxpb.NodeProto, hints map[string]*onnxpb.ValueInfoProto) {
	if r := rules[s.Model.Op(n)]; r != nil {
		r(s, n)
		s.evaluate(n)
		s.reals(n)
	}
	for _, out := range n.Output {
		if _, ok := s.Dims[out]; !ok && hints[out] != nil {
			s.put(out, graph.Declared(hints[out]))
		}
	}
}

// put records a shape. Nil is unknown, an impossible dimension is unknown.
func (s *Inferer) put(name string, dims []int64) {
	if name == "" || dims == nil {
		return
	}
	dims = slices.Clone(dims)
	for i, d := range dims {
		if d < 0 || d > math.MaxInt32 {
			dims[i] = -1
		}
	}
	s.Dims[name] = dims
}

// constant records the shape of t and, where t is small and integer, its value.
func (s *Inferer) constant(name string, t *onnxpb.TensorProto) {
	shape := t.GetDims()
	if shape == nil {
		shape = []int64{}
	}
	s.put(name, shape)
	if n := dims.Product(shape); n >= 0 && n <= maxValue {
		if v, err := graph.IntsOf(t); err == nil {
			s.ints[name] = v
		}
	}
	s.learnFloats(name, t)
}

// In returns the shape of input i of node n, or nil.
func (s *Inferer) In(n *onnxpb.NodeProto, i int) []int64 {
	if i < len(n.Input) {
		return s.Dims[n.Input[i]]
	}
	return nil
}

// value returns the integers in input i of node n, or nil if they are not all known.
func (s *Inferer) value(n *onnxpb.NodeProto, i int) []int64 {
	if i >= len(n.Input) {
		return nil
	}
	v := s.ints[n.Input[i]]
	if slices.Contains(v, hidden) {
		return nil
	}
	return v
}

// list reads a list that is an attribute in older operator sets and input i in newer ones.
func (s *Inferer) list(n *onnxpb.NodeProto, name string, i int) []int64 {
	if a := graph.Find(n, name); a != nil {
		return a.Ints
	}
	return s.value(n, i)
}

// out records the shape of output i of node n.
func (s *Inferer) out(n *onnxpb.NodeProto, i int, dims []int64) {
	if i < len(n.Output) {
		s.put(n.Output[i], dims)
	}
}

// outValue records output 0 of node n as an integer tensor: a scalar or a vector.
func (s *Inferer) outValue(n *onnxpb.NodeProto, v []int64, scalar bool) {
	if len(n.Output) == 0 || v == nil || len(v) > maxValue || scalar && len(v) != 1 {
		return
	}
	s.ints[n.Output[0]] = v
	if scalar {
		s.out(n, 0, []int64{})
	} else {
		s.out(n, 0, []int64{int64(len(v))})
	}
}

// fits reports whether given agrees with the known dimensions of dims.
func fits(dims, given []int64) bool {
	if dims == nil {
		return true
	}
	if len(dims) != len(given) {
		return false
	}
	for i, d := range dims {
		if d >= 0 && given[i] != d {
			return false
		}
	}
	return true
}

// axisOf turns an axis counted from the end into one counted from the start;
// false if the shape has no such axis.
func axisOf(axis int64, rank int) (int, bool) {
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), axis >= 0 && axis < int64(rank)
}

// OpenTarget is the target of Reshape node n for any batch, or nil if n is no
// Reshape that keeps a batch of the given size in front.
func (s *Inferer) OpenTarget(n *onnxpb.NodeProto, batch int64) []int64 {
	if s.Model.Op(n).Standard() != "Reshape" {
		return nil
	}
	x, target := s.In(n, 0), slices.Clone(s.value(n, 1))
	if len(x) == 0 || x[0] != batch || len(target) == 0 || target[0] != batch {
		return nil
	}
	switch {
	case graph.FindInt(n, "allowzero", 0) == 0:
		target[0] = 0
	case !slices.Contains(target, -1):
		target[0] = -1
	default:
		return nil
	}
	return target
}
