package shape

import (
	"slices"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Integers that exporters compute shapes with, of any rank, up to maxValue of them.

// binary are the operators of two integers; false where there is no answer. A truth is 1 or 0.
var binary = map[string]func(x, y int64) (int64, bool){
	"Add": func(x, y int64) (int64, bool) { return x + y, true },
	"Sub": func(x, y int64) (int64, bool) { return x - y, true },
	"Mul": func(x, y int64) (int64, bool) { return x * y, true },
	"Div": func(x, y int64) (int64, bool) {
		if y == 0 {
			return 0, false
		}
		return x / y, true
	},
	"Mod": func(x, y int64) (int64, bool) {
		if y == 0 {
			return 0, false
		}
		return ((x % y) + y) % y, true // the sign of the divisor, as integers have it
	},
	"Min":            func(x, y int64) (int64, bool) { return min(x, y), true },
	"Max":            func(x, y int64) (int64, bool) { return max(x, y), true },
	"Equal":          func(x, y int64) (int64, bool) { return truth(x == y), true },
	"Less":           func(x, y int64) (int64, bool) { return truth(x < y), true },
	"LessOrEqual":    func(x, y int64) (int64, bool) { return truth(x <= y), true },
	"Greater":        func(x, y int64) (int64, bool) { return truth(x > y), true },
	"GreaterOrEqual": func(x, y int64) (int64, bool) { return truth(x >= y), true },
	"And":            func(x, y int64) (int64, bool) { return x * y, true },
	"Or":             func(x, y int64) (int64, bool) { return truth(x+y > 0), true },
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// evaluate follows the value of output 0 of node n, whose shape is known, where no rule did.
func (s *Inferer) evaluate(n *onnxpb.NodeProto) {
	if len(n.Output) == 0 || len(n.Input) == 0 || s.ints[n.Output[0]] != nil {
		return
	}
	out, known := s.Dims[n.Output[0]]
	count := dims.Product(out)
	if !known || count < 0 || count > maxValue {
		return
	}
	var v []int64
	switch op := s.Model.Op(n).Standard(); op {
	case "Where":
		v = s.chosen(n, out)
	case "Transpose":
		v = s.transposed(n, out)
	case "Slice":
		v = s.sliced(n, out)
	case "Expand":
		v = s.spread(n.Input[0], out)
	case "Tile":
		if x := s.ints[n.Input[0]]; len(out) == 1 && len(x) > 0 {
			v = slices.Repeat(x, int(count)/len(x))
		}
	default:
		if f := binary[op]; f != nil && len(n.Input) == 2 {
			v = s.combined(n, out, f)
		}
	}
	if int64(len(v)) == count && v != nil {
		s.ints[n.Output[0]] = v
	}
}

// spread is the value of a tensor broadcast to a shape, nil if unknown.
func (s *Inferer) spread(tensor string, out []int64) []int64 {
	x, shape := s.ints[tensor], s.Dims[tensor]
	if x == nil || dims.Product(shape) != int64(len(x)) || len(shape) > len(out) || len(x) == 0 {
		return nil
	}
	step := steps(shape)
	v := make([]int64, dims.Product(out))
	each(out, func(i int, at []int64) {
		from := int64(0)
		for k, st := range step {
			if shape[k] > 1 {
				from += st * at[len(out)-len(shape)+k]
			}
		}
		v[i] = x[min(from, int64(len(x)-1))]
	})
	return v
}

func (s *Inferer) combined(n *onnxpb.NodeProto, out []int64, f func(x, y int64) (int64, bool)) []int64 {
	x, y := s.spread(n.Input[0], out), s.spread(n.Input[1], out)
	if x == nil || y == nil {
		return nil
	}
	v := make([]int64, len(x))
	for i := range v {
		v[i] = hidden
		if x[i] == hidden || y[i] == hidden {
			continue
		}
		if r, ok := f(x[i], y[i]); ok {
			v[i] = r
		}
	}
	return v
}

// chosen is the value of Where.
func (s *Inferer) chosen(n *onnxpb.NodeProto, out []int64) []int64 {
	if len(n.Input) != 3 {
		return nil
	}
	which, yes, no := s.spread(n.Input[0], out), s.spread(n.Input[1], out), s.spread(n.Input[2], out)
	if which == nil || yes == nil || no == nil {
		return nil
	}
	v := make([]int64, len(which))
	for i := range v {
		switch {
		case which[i] == hidden && yes[i] != no[i]:
			v[i] = hidden
		case which[i] == 0:
			v[i] = no[i]
		default:
			v[i] = yes[i]
		}
	}
	return v
}

func (s *Inferer) transposed(n *onnxpb.NodeProto, out []int64) []int64 {
	x, shape := s.ints[n.Input[0]], s.In(n, 0)
	if x == nil || len(shape) != len(out) || dims.Product(shape) != int64(len(x)) {
		return nil
	}
	perm := graph.FindInts(n, "perm")
	if perm == nil {
		for i := range shape {
			perm = append(perm, int64(len(shape)-1-i))
		}
	}
	step := steps(shape)
	v := make([]int64, dims.Product(out))
	each(out, func(i int, at []int64) {
		from := int64(0)
		for k, p := range perm {
			from += at[k] * step[p]
		}
		if v[i] = hidden; from < int64(len(x)) { // not where perm names an axis twice
			v[i] = x[from]
		}
	})
	return v
}

// sliced is the value of a Slice whose limits are known.
func (s *Inferer) sliced(n *onnxpb.NodeProto, out []int64) []int64 {
	x, shape := s.ints[n.Input[0]], s.In(n, 0)
	cuts, known := s.cuts(n)
	if x == nil || !known || len(shape) != len(out) || dims.Product(shape) != int64(len(x)) {
		return nil
	}
	start, by := make([]int64, len(shape)), slices.Repeat([]int64{1}, len(shape))
	for _, c := range cuts {
		axis, ok := axisOf(c.axis, len(shape))
		if !ok || c.step == 0 {
			return nil
		}
		from := c.start
		if from < 0 {
			from += shape[axis]
		}
		if c.step < 0 {
			from = min(from, shape[axis]-1)
		}
		start[axis], by[axis] = max(from, 0), c.step
	}
	step := steps(shape)
	v := make([]int64, dims.Product(out))
	each(out, func(i int, at []int64) {
		from := int64(0)
		for k := range at {
			from += (start[k] + at[k]*by[k]) * step[k]
		}
		if from >= 0 && from < int64(len(x)) {
			v[i] = x[from]
		}
	})
	return v
}

// steps are how far apart neighbours of each axis are in a row-major tensor.
func steps(shape []int64) []int64 {
	step := make([]int64, len(shape))
	one := int64(1)
	for i, d := range slices.Backward(shape) {
		step[i] = one
		one *= d
	}
	return step
}

// each visits the elements of a tensor in row-major order.
func each(shape []int64, visit func(i int, at []int64)) {
	at := make([]int64, len(shape))
	for i := range int(dims.Product(shape)) {
		visit(i, at)
		for k := len(at) - 1; k >= 0; k-- {
			if at[k]++; at[k] < shape[k] {
				break
			}
			at[k] = 0
		}
	}
}

func rangeRule(s *Inferer, n *onnxpb.NodeProto) {
	from, to, by := s.value(n, 0), s.value(n, 1), s.value(n, 2)
	if len(from) != 1 || len(to) != 1 || len(by) != 1 || by[0] == 0 {
		s.out(n, 0, []int64{s.rangeOfFloats(n)})
		return
	}
	count := max((to[0]-from[0]+by[0]-sign(by[0]))/by[0], 0)
	s.out(n, 0, []int64{count})
	if count > maxValue {
		return
	}
	var v []int64
	for i := range count {
		v = append(v, from[0]+i*by[0])
	}
	s.outValue(n, v, false)
}

func sign(x int64) int64 {
	if x < 0 {
		return -1
	}
	return 1
}

func tileRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	if x == nil || len(n.Input) < 2 {
		return
	}
	repeats, out := s.ints[n.Input[1]], slices.Repeat([]int64{-1}, len(x))
	for i := range out {
		if len(repeats) == len(x) && repeats[i] != hidden && x[i] >= 0 {
			out[i] = x[i] * repeats[i]
		}
	}
	s.out(n, 0, out)
}

// resizeRule takes the sizes; the scales are floats, which are followed where an initializer or attribute holds them.
func resizeRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	if x == nil {
		return
	}
	out := slices.Repeat([]int64{-1}, len(x))
	axes := graph.FindInts(n, "axes")
	if axes == nil {
		for i := range x {
			axes = append(axes, int64(i))
		}
	}
	sizes := s.value(n, 3)
	scales := s.floats(n, min(2, max(len(n.Input)-1, 1))) // Upsample and the first Resize have two inputs
	policy := graph.FindStr(n, "keep_aspect_ratio_policy", "stretch")
	for i := range x {
		out[i] = x[i]
		k := slices.IndexFunc(axes, func(a int64) bool { j, ok := axisOf(a, len(x)); return ok && j == i })
		switch {
		case k < 0:
		case len(sizes) == len(axes) && policy == "stretch":
			out[i] = sizes[k]
		case len(scales) == len(axes) && x[i] >= 0:
			out[i] = int64(float64(x[i]) * float64(scales[k]))
		default:
			out[i] = -1
		}
	}
	s.out(n, 0, out)
}

// floats are the numbers of input i of node n where an initializer holds them.
func (s *Inferer) floats(n *onnxpb.NodeProto, i int) []float32 {
	if i >= len(n.Input) {
		return nil
	}
	for _, t := range s.Model.Graph.Initializer {
		if t.GetName() == n.Input[i] {
			v, _ := graph.FloatsOf(t)
			return v
		}
	}
	return nil
}

func sizeRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	if count := dims.Product(x); x != nil && count >= 0 && !slices.Contains(x, -1) {
		s.outValue(n, []int64{count}, true)
		return
	}
	s.out(n, 0, []int64{})
}

// agree leaves of s what it shares with other.
func (s *Inferer) agree(other *Inferer) {
	for name, x := range s.Dims {
		y, ok := other.Dims[name]
		if !ok || len(x) != len(y) {
			delete(s.Dims, name)
			continue
		}
		for i := range x {
			if x[i] != y[i] {
				x[i] = -1
			}
		}
	}
	for name, x := range s.ints {
		y := other.ints[name]
		if len(x) != len(y) {
			delete(s.ints, name)
			continue
		}
		v := slices.Clone(x) // rules may share one list
		for i := range v {
			if v[i] != y[i] {
				v[i] = hidden
			}
		}
		s.ints[name] = v
	}
}

// fill takes from other what s does not know.
func (s *Inferer) fill(other *Inferer) {
	for name, y := range other.Dims {
		x, ok := s.Dims[name]
		switch {
		case !ok:
			s.Dims[name] = y
		case len(x) == len(y):
			for i := range x {
				x[i] = max(x[i], y[i])
			}
		}
	}
	for name, y := range other.ints {
		if x := s.ints[name]; x == nil || slices.Contains(x, hidden) {
			s.ints[name] = y
		}
	}
}

// openBatch are the inputs of which the batch is all that is not known, by name; none where more is not, or where no
// input has an axis besides. They are taken to have the same batch.
func openBatch(m *graph.Model, inputs map[string][]int64) map[string][]int64 {
	inits, open, deep := m.Initializers(), map[string][]int64{}, false
	for _, in := range m.Graph.Input {
		if inits[in.GetName()] != nil {
			continue
		}
		x, given := inputs[in.GetName()]
		if !given {
			x = graph.Declared(in)
		}
		switch at := slices.Index(x, -1); {
		case x != nil && at < 0:
		case at != 0 || slices.Contains(x[1:], -1):
			return nil
		default:
			open[in.GetName()] = x
			deep = deep || len(x) > 1
		}
	}
	if !deep {
		return nil
	}
	return open
}
