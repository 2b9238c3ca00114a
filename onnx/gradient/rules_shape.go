package gradient

import (
	"fmt"
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// viewRule is for operators that give the same values another shape.
func viewRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	return one(b.ReshapeLike(b.dy(n), n.Input[0]))
}

func transposeRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	perm := graph.FindInts(n, "perm")
	rank := len(b.Shape[n.Input[0]])
	if rank < len(perm) || len(b.Shape[b.dy(n)]) != rank {
		return nil, fmt.Errorf("shape %v; export the model with its shapes inferred", b.Shape[n.Input[0]])
	}
	inverse := make([]int64, rank)
	for i := range inverse {
		inverse[i] = int64(rank - 1 - i) // without perm
	}
	for i, p := range perm {
		inverse[p] = int64(i)
	}
	return one(b.Transpose(b.dy(n), inverse...))
}

func concatRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	dy := b.dy(n)
	axis := b.Axis(dy, graph.FindInt(n, "axis", 0))
	at := int64(0)
	var grads []string
	for _, in := range n.Input {
		size := int64(-1)
		if s := b.Shape[in]; int(axis) < len(s) {
			size = s[axis]
		}
		if size < 0 {
			return nil, fmt.Errorf("joins along an axis whose size is not fixed; only fixed sizes have a rule")
		}
		grads = append(grads, b.Slice(dy, axis, at, at+size, 1))
		at += size
	}
	return grads, nil
}

// sliceRule puts the derivative back where the slice was taken, zeros around it.
func sliceRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	shape := b.Shape[n.Input[0]]
	starts, ends := b.constantInts(n.Input[1]), b.constantInts(n.Input[2])
	axes := make([]int64, len(starts))
	for i := range axes {
		axes[i] = int64(i)
	}
	if len(n.Input) > 3 && n.Input[3] != "" {
		axes = b.constantInts(n.Input[3])
	}
	steps := slices.Repeat([]int64{1}, len(starts))
	if len(n.Input) > 4 && n.Input[4] != "" {
		steps = b.constantInts(n.Input[4])
	}
	if starts == nil || len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) ||
		slices.Contains(steps, 0) {
		return nil, fmt.Errorf("computed limits; only constant ones have a rule")
	}
	dx := b.dy(n)
	pads := make([]int64, 2*len(shape))
	for i, axis := range axes {
		axis = b.Axis(n.Input[0], axis)
		size := shape[axis]
		if size < 0 {
			return nil, fmt.Errorf("cuts an axis whose size is not fixed; only fixed sizes have a rule")
		}
		first, last := taken(starts[i], ends[i], steps[i], size)
		dx = b.stepped(dx, axis, steps[i])
		pads[axis] = first
		pads[int64(len(shape))+axis] = size - first - (last - first + max(steps[i], -steps[i]))
	}
	return one(b.Pad(dx, pads...))
}

// taken are the lowest and the highest place that a Slice takes of an axis of size places; the highest is below
// the lowest, by a step, where it takes none.
func taken(start, end, step, size int64) (first, last int64) {
	within := func(v, least, most int64) int64 {
		if v < 0 {
			v += size
		}
		return max(least, min(v, most))
	}
	if step > 0 {
		start, end = within(start, 0, size), within(end, 0, size)
		count := max(0, (end-start+step-1)/step)
		return start, start + (count-1)*step
	}
	start, end = within(start, -1, size-1), within(end, -1, size-1)
	count := max(0, (start-end-step-1)/-step)
	return start + (count-1)*step, start
}

// splitRule joins the derivatives of the parts, zeros for one that nobody uses.
func splitRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	parts := make([]string, len(n.Output))
	for i, out := range n.Output {
		if len(b.grads[out]) > 0 {
			parts[i] = b.total(out)
		} else {
			parts[i] = b.Op("ConstantOfShape", b.Shape[out], []string{b.RunShape(out)})
		}
	}
	return one(b.Op("Concat", b.Shape[n.Input[0]], parts, graph.Int("axis", graph.FindInt(n, "axis", 0))))
}

func padRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	if mode := graph.FindStr(n, "mode", "constant"); mode != "constant" {
		return nil, fmt.Errorf("mode %q; only constant has a rule", mode)
	}
	pads := b.constantInts(n.Input[1])
	if pads == nil || len(n.Input) > 3 && n.Input[3] != "" {
		return nil, fmt.Errorf("pads are computed or name axes; only constant pads of every axis have a rule")
	}
	back := make([]int64, len(pads))
	for i, p := range pads {
		back[i] = -p
	}
	return one(b.Pad(b.dy(n), back...))
}

// reduced are the shape of what Reduce node n makes of its input, its axes kept with size 1.
func (b *build) reduced(n *onnxpb.NodeProto) ([]int64, error) {
	x, axes := n.Input[0], graph.FindInts(n, "axes")
	if len(n.Input) > 1 && n.Input[1] != "" {
		if axes = b.constantInts(n.Input[1]); axes == nil {
			return nil, fmt.Errorf("axes %q are not constant; only constant axes have a rule", n.Input[1])
		}
	}
	kept := slices.Clone(b.Shape[x])
	if len(axes) == 0 && graph.FindInt(n, "noop_with_empty_axes", 0) == 1 {
		return kept, nil
	}
	for i := range kept {
		if len(axes) == 0 || slices.ContainsFunc(axes, func(a int64) bool { return b.Axis(x, a) == int64(i) }) {
			kept[i] = 1
		}
	}
	return kept, nil
}

// reduceRule is ReduceSum and ReduceMean over constant axes.
func reduceRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x := n.Input[0]
	kept, err := b.reduced(n)
	if err != nil {
		return nil, err
	}
	dy := b.dy(n)
	if n.GetOpType() == "ReduceMean" {
		dy = b.Div(dy, b.ratio(x, kept))
	}
	dy = b.Reshape(dy, kept...) // at most the batch is unknown, and Reshape can work it out
	return one(b.Op("Expand", b.Shape[x], []string{dy, b.RunShape(x)}))
}

// extremeRule is ReduceMax and ReduceMin: the places that are as large as the largest share the derivative, as
// PyTorch's amax has it.
func extremeRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x := n.Input[0]
	kept, err := b.reduced(n)
	if err != nil {
		return nil, err
	}
	dy, y := b.Reshape(b.dy(n), kept...), b.Reshape(n.Output[0], kept...)
	equal := b.Op("Equal", b.Shape[x], []string{x, y})
	mask := b.Op("Cast", b.Shape[x], []string{equal}, graph.Int("to", int64(graph.Float32)))
	var axes []int64
	for i, d := range kept {
		if d == 1 {
			axes = append(axes, int64(i))
		}
	}
	count := b.Op("ReduceSum", kept, []string{mask, b.Ints(axes...)}, graph.Int("keepdims", 1))
	return one(b.Mul(mask, b.Div(dy, count)))
}

// ratio is the number of elements of x for one of a tensor of shape small, as
// float32 of shape [].
func (b *build) ratio(x string, small []int64) string {
	n, unknown := int64(1), false
	for i, d := range b.Shape[x] {
		if small[i] == 1 && d < 0 {
			unknown = true
		} else if small[i] == 1 {
			n *= d
		}
	}
	if !unknown {
		return b.Scalar(float32(n))
	}
	return b.Mul(b.batchSize(x), b.Scalar(float32(n)))
}

// batchSize is the first dimension of x when the graph runs, as float32 of shape [].
func (b *build) batchSize(x string) string {
	first := b.Op("Gather", []int64{}, []string{b.Op("Shape", []int64{int64(len(b.Shape[x]))}, []string{x}),
		b.intScalar(0)})
	return b.Op("Cast", []int64{}, []string{first}, graph.Int("to", int64(graph.Float32)))
}

func (b *build) intScalar(v int64) string {
	return b.Constant(fmt.Sprint("I", v), graph.IntTensor("", nil, []int64{v}))
}
