package shape

import (
	"slices"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// sameRule: the output has the shape, and where it is an integer copy the
// value, of the first input.
func sameRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	s.out(n, 0, x)
	switch n.GetOpType() {
	case "Identity":
		s.copyValue(n)
	case "Cast":
		if to := int32(graph.FindInt(n, "to", 0)); to == graph.Int64 || to == graph.Int32 || to == graph.Bool {
			s.copyValue(n)
		}
	}
}

// copyValue gives output 0, whose shape is known, the value of input 0.
func (s *Inferer) copyValue(n *onnxpb.NodeProto) {
	if len(n.Input) == 0 || len(n.Output) == 0 {
		return
	}
	if v := s.ints[n.Input[0]]; v != nil && dims.Product(s.Dims[n.Output[0]]) == int64(len(v)) {
		s.ints[n.Output[0]] = v
	}
}

func broadcastRule(s *Inferer, n *onnxpb.NodeProto) {
	out := []int64{}
	for i := range n.Input {
		x := s.In(n, i)
		if x == nil {
			return
		}
		out = broadcast(out, x)
	}
	s.out(n, 0, out)
}

// broadcast is the shape of an elementwise operation on shapes a and b.
func broadcast(a, b []int64) []int64 {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, d := range b {
		o := &out[len(a)-len(b)+i]
		switch {
		case *o == d, d == 1:
		case *o == 1:
			*o = d
		case *o < 0:
			*o = d // a known size above 1 decides
		case d >= 0:
			*o = -1 // they do not fit
		}
	}
	return out
}

func gemmRule(s *Inferer, n *onnxpb.NodeProto) {
	a, b := s.In(n, 0), s.In(n, 1)
	if len(a) != 2 || len(b) != 2 {
		return
	}
	rows, cols := a[0], b[1]
	if graph.FindInt(n, "transA", 0) != 0 {
		rows = a[1]
	}
	if graph.FindInt(n, "transB", 0) != 0 {
		cols = b[0]
	}
	s.out(n, 0, []int64{rows, cols})
}

func matMulRule(s *Inferer, n *onnxpb.NodeProto) {
	a, b := s.In(n, 0), s.In(n, 1)
	if len(a) == 0 || len(b) == 0 {
		return
	}
	row, column := len(a) == 1, len(b) == 1 // a vector is taken for a matrix, whose added axis goes
	if row {
		a = []int64{1, a[0]}
	}
	if column {
		b = []int64{b[0], 1}
	}
	out := broadcast(a[:len(a)-2], b[:len(b)-2])
	if !row {
		out = append(out, a[len(a)-2])
	}
	if !column {
		out = append(out, b[len(b)-1])
	}
	s.out(n, 0, out)
}

func concatRule(s *Inferer, n *onnxpb.NodeProto) {
	var out, value []int64
	values := true
	for i, name := range n.Input {
		x := s.In(n, i)
		axis, ok := axisOf(graph.FindInt(n, "axis", 1), len(x)) // left out only before version 4
		if x == nil || !ok || out != nil && len(out) != len(x) {
			return
		}
		v, known := s.ints[name]
		values = values && known
		value = append(value, v...)
		if out == nil {
			out = slices.Clone(x)
			continue
		}
		for j, d := range x {
			switch {
			case j != axis && out[j] < 0:
				out[j] = d
			case j == axis && (out[j] < 0 || d < 0):
				out[j] = -1
			case j == axis:
				out[j] += d
			}
		}
	}
	s.out(n, 0, out)
	if values && len(out) == 1 {
		s.outValue(n, value, false)
	}
}

func splitRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	axis, ok := axisOf(graph.FindInt(n, "axis", 0), len(x))
	if !ok {
		return
	}
	parts := s.list(n, "split", 1)
	count := int64(len(n.Output))
	each := int64(-1)
	computed := parts == nil && len(n.Input) > 1 && n.Input[1] != ""
	if x[axis] >= 0 && count > 0 && !computed {
		each = (x[axis] + count - 1) / count
	}
	for i := range n.Output {
		out := slices.Clone(x)
		switch {
		case i < len(parts):
			out[axis] = parts[i]
		case int64(i) == count-1 && each >= 0:
			out[axis] = x[axis] - each*(count-1)
		default:
			out[axis] = each
		}
		s.out(n, i, out)
	}
}

func padRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	if x == nil {
		return
	}
	axes := s.value(n, 3)
	if axes == nil {
		for i := range x {
			axes = append(axes, int64(i))
		}
	}
	pads := s.list(n, "pads", 1)
	out := slices.Clone(x)
	for i, a := range axes {
		j, ok := axisOf(a, len(x))
		switch {
		case !ok:
			return
		case len(pads) != 2*len(axes):
			out[j] = -1
		case out[j] >= 0:
			out[j] += pads[i] + pads[len(axes)+i]
		}
	}
	s.out(n, 0, out)
}

func depthToSpaceRule(s *Inferer, n *onnxpb.NodeProto) { blockRule(s, n, true) }
func spaceToDepthRule(s *Inferer, n *onnxpb.NodeProto) { blockRule(s, n, false) }

// blockRule moves blocks of b*b pixels between the channel and spatial axes.
func blockRule(s *Inferer, n *onnxpb.NodeProto, toSpace bool) {
	x, b := s.In(n, 0), graph.FindInt(n, "blocksize", 0)
	if len(x) != 4 || b < 1 || b > 1<<10 {
		return
	}
	out := slices.Clone(x)
	for i, scale := range []int64{0, b * b, b, b} {
		switch {
		case i == 0 || x[i] < 0:
		case (i == 1) == toSpace:
			out[i] = x[i] / scale
		default:
			out[i] = x[i] * scale
		}
	}
	s.out(n, 0, out)
}
