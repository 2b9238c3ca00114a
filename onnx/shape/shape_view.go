package shape

import (
	"slices"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// The rules of operators that only arrange values anew, and of those that
// exporters put around them to compute shapes.

func reshapeRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	if len(n.Input) < 2 {
		return
	}
	target, ok := s.ints[n.Input[1]]
	if !ok {
		s.ofRank(n, s.listed(n, 1))
		return
	}
	out := slices.Clone(target)
	zeroCopies := graph.FindInt(n, "allowzero", 0) == 0
	rest, infer := slices.Clone(x), -1
	for i, t := range target {
		switch {
		case t == 0 && zeroCopies:
			out[i] = -1
			if i < len(x) {
				out[i] = x[i]
				rest[i] = 1 // cancels, even where unknown
			}
		case t == -1:
			infer = i
		}
	}
	if infer >= 0 {
		out[infer] = -1
		if x != nil {
			out[infer] = quotient(dims.Product(rest), target)
		}
	}
	s.out(n, 0, out)
	s.copyValue(n)
}

// listed is how many numbers input i of node n holds, -1 where that is not known.
func (s *Inferer) listed(n *onnxpb.NodeProto, i int) int64 {
	if x := s.In(n, i); len(x) == 1 {
		return x[0]
	}
	return -1
}

// ofRank records that output 0 of node n has a rank, and its sizes only the run knows.
func (s *Inferer) ofRank(n *onnxpb.NodeProto, rank int64) {
	if rank >= 0 && rank < 16 {
		s.out(n, 0, slices.Repeat([]int64{-1}, int(rank)))
	}
}

// quotient is what remains of total for the -1 of a Reshape target.
func quotient(total int64, target []int64) int64 {
	for _, t := range target {
		switch {
		case t == -1 || t == 0:
		case t == hidden || total < 0 || total%t != 0:
			return -1
		default:
			total /= t
		}
	}
	return total
}

func flattenRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	axis := graph.FindInt(n, "axis", 1)
	if axis < 0 {
		axis += int64(len(x))
	}
	if x == nil || axis < 0 || axis > int64(len(x)) {
		return
	}
	s.out(n, 0, []int64{dims.Product(x[:axis]), dims.Product(x[axis:])})
}

func transposeRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	perm := graph.FindInts(n, "perm")
	if perm == nil {
		for i := range x {
			perm = append(perm, int64(len(x)-1-i))
		}
	}
	if x == nil || len(perm) != len(x) {
		return
	}
	out := make([]int64, len(x))
	for i, p := range perm {
		if p < 0 || p >= int64(len(x)) {
			return
		}
		out[i] = x[p]
	}
	s.out(n, 0, out)
}

func squeezeRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	axes := s.list(n, "axes", 1)
	given := len(n.Input) > 1 && n.Input[1] != ""
	if x != nil && axes == nil && given && s.listed(n, 1) >= 0 {
		s.ofRank(n, int64(len(x))-s.listed(n, 1))
	}
	if x == nil || axes == nil && (given || slices.Contains(x, -1)) {
		return
	}
	drop := map[int]bool{}
	for _, a := range axes {
		i, ok := axisOf(a, len(x))
		if !ok {
			return
		}
		drop[i] = true
	}
	out := []int64{}
	for i, d := range x {
		if !drop[i] && (axes != nil || d != 1) {
			out = append(out, d)
		}
	}
	s.out(n, 0, out)
	s.copyValue(n)
}

func unsqueezeRule(s *Inferer, n *onnxpb.NodeProto) {
	x, axes := s.In(n, 0), s.list(n, "axes", 1)
	if x != nil && axes == nil && s.listed(n, 1) >= 0 {
		s.ofRank(n, int64(len(x))+s.listed(n, 1))
	}
	if x == nil || axes == nil || len(axes) > 8 {
		return
	}
	out := make([]int64, len(x)+len(axes))
	added := map[int]bool{}
	for _, a := range axes {
		i, ok := axisOf(a, len(out))
		if !ok || added[i] {
			return
		}
		added[i] = true
		out[i] = 1
	}
	for i := range out {
		if !added[i] {
			out[i], x = x[0], x[1:]
		}
	}
	s.out(n, 0, out)
	s.copyValue(n)
}

func expandRule(s *Inferer, n *onnxpb.NodeProto) {
	x, shape := s.In(n, 0), s.value(n, 1)
	if rank := s.listed(n, 1); shape == nil && rank >= 0 && rank < 16 {
		shape = slices.Repeat([]int64{-1}, int(rank))
	}
	if x != nil && shape != nil {
		s.out(n, 0, broadcast(x, shape))
	}
}

func shapeRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	if x == nil {
		return
	}
	start, end := clampRange(graph.FindInt(n, "start", 0), graph.FindInt(n, "end", int64(len(x))), int64(len(x)))
	v := make([]int64, 0, len(x))
	for i := start; i < end; i++ {
		d := x[i]
		if d < 0 {
			d = hidden
		}
		v = append(v, d)
	}
	s.outValue(n, v, false)
}

// clampRange turns start and end, counted from either side, into 0 <= start, end <= n.
func clampRange(start, end, n int64) (int64, int64) {
	if start < 0 {
		start += n
	}
	if end < 0 {
		end += n
	}
	return min(max(start, 0), n), min(max(end, 0), n)
}

func constantRule(s *Inferer, n *onnxpb.NodeProto) {
	if len(n.Output) == 0 {
		return
	}
	for _, a := range n.Attribute {
		switch a.GetName() {
		case "value":
			if a.T != nil {
				s.constant(n.Output[0], a.T)
			}
		case "value_int":
			s.outValue(n, []int64{a.GetI()}, true)
		case "value_ints":
			s.outValue(n, slices.Clone(a.GetInts()), false)
		case "value_float":
			s.out(n, 0, []int64{})
		case "value_floats":
			s.out(n, 0, []int64{int64(len(a.GetFloats()))})
		}
	}
}

func constantOfShapeRule(s *Inferer, n *onnxpb.NodeProto) {
	shape := s.value(n, 0)
	if shape == nil {
		return
	}
	s.out(n, 0, shape)
	t := graph.Find(n, "value").GetT()
	count := dims.Product(shape)
	if count < 0 || count > maxValue || t == nil {
		return
	}
	if v, err := graph.IntsOf(t); err == nil && len(v) == 1 && len(n.Output) > 0 {
		s.ints[n.Output[0]] = slices.Repeat(v, int(count))
	}
}

func gatherRule(s *Inferer, n *onnxpb.NodeProto) {
	x, at := s.In(n, 0), s.In(n, 1)
	axis, ok := axisOf(graph.FindInt(n, "axis", 0), len(x))
	if x == nil || at == nil || !ok {
		return
	}
	out := slices.Concat(x[:axis], at, x[axis+1:])
	s.out(n, 0, out)
	data, index := s.ints[n.Input[0]], s.value(n, 1)
	if data == nil || index == nil || len(x) != 1 || len(at) > 1 {
		return
	}
	v := make([]int64, len(index))
	for i, j := range index {
		k, ok := axisOf(j, len(data))
		if !ok {
			return
		}
		v[i] = data[k]
	}
	s.outValue(n, v, len(out) == 0)
}

// cut is what a Slice takes of one axis.
type cut struct {
	axis, start, end int64
	step             int64 // 0 where only the run knows it
}

// cuts reads what Slice node n takes; false where only the run knows where.
func (s *Inferer) cuts(n *onnxpb.NodeProto) ([]cut, bool) {
	starts, ends := s.list(n, "starts", 1), s.list(n, "ends", 2)
	axes, steps := s.list(n, "axes", 3), s.value(n, 4)
	given := func(i int) bool { return i < len(n.Input) && n.Input[i] != "" }
	computed := len(starts) == 0 && len(n.Input) > 1 || given(3) && axes == nil
	if computed || len(starts) != len(ends) {
		return nil, false
	}
	list := make([]cut, len(starts))
	for i := range list {
		list[i] = cut{axis: int64(i), start: starts[i], end: ends[i], step: 1}
		if i < len(axes) {
			list[i].axis = axes[i]
		}
		if given(4) {
			list[i].step = 0
			if i < len(steps) {
				list[i].step = steps[i]
			}
		}
	}
	return list, true
}

func sliceRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	if x == nil {
		return
	}
	cuts, known := s.cuts(n)
	if !known {
		s.out(n, 0, slices.Repeat([]int64{-1}, len(x)))
		return
	}
	out := slices.Clone(x)
	for _, c := range cuts {
		axis, ok := axisOf(c.axis, len(x))
		if !ok {
			return
		}
		out[axis] = sliced(x[axis], c.start, c.end, c.step)
	}
	s.out(n, 0, out)
}

// sliced is the length of a slice of n values; step 0 stands for an unknown step.
func sliced(n, start, end, step int64) int64 {
	if n < 0 || step == 0 {
		return -1
	}
	step = max(min(step, n+1), -n-1) // a longer step changes nothing and could overflow
	if step < 0 {                    // the same slice, seen from the other end
		if start < 0 {
			start += n
		}
		if end < 0 {
			end += n
		}
		start, end, step = min(max(start, -1), n-1), min(max(end, -1), n-1), -step
		return max(0, (start-end+step-1)/step)
	}
	start, end = clampRange(start, end, n)
	return max(0, (end-start+step-1)/step)
}
