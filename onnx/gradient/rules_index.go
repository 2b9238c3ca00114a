package gradient

import (
	"fmt"
	"slices"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// gatherRule adds up what was taken of each place: a product with ones where a place was taken. Unlike a
// ScatterND it is computed in one order whatever the number of threads, and needs no newer operator set.
func gatherRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	shape, index := b.Shape[n.Input[0]], b.Shape[n.Input[1]]
	axis := b.Axis(n.Input[0], graph.FindInt(n, "axis", 0))
	if shape == nil || index == nil || axis < 0 || int(axis) >= len(shape) {
		return nil, fmt.Errorf("takes places %v of shape %v; export the model with its shapes inferred", index, shape)
	}
	return b.gathered(n, axis)
}

// gatherNDRule is Gather along the first axis, where the places have one number each.
func gatherNDRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	index := b.Shape[n.Input[1]]
	if len(index) == 0 || index[len(index)-1] != 1 || graph.FindInt(n, "batch_dims", 0) != 0 {
		return nil, fmt.Errorf("places of shape %v; only those of one axis have a rule", index)
	}
	return b.gathered(n, 0)
}

func (b *build) gathered(n *onnxpb.NodeProto, axis int64) ([]string, error) {
	x := n.Input[0]
	shape := b.Shape[x]
	size, before, behind := shape[axis], dims.Product(shape[:axis]), dims.Product(shape[axis+1:])
	if size < 0 || behind < 0 {
		return nil, fmt.Errorf("takes places of shape %v; only axes of fixed size have a rule", shape)
	}
	places := b.Reshape(n.Input[1], -1)
	count := dims.Product(b.Shape[n.Input[1]])
	hot := b.Op("OneHot", []int64{size, count}, []string{places, b.Ints(size), b.Floats([]int64{2}, []float32{0, 1})},
		graph.Int("axis", 0))
	dy := b.dy(n)
	if before == 1 {
		return one(b.reshapeTo(b.Op("MatMul", []int64{size, behind}, []string{hot, b.Reshape(dy, -1, behind)}), x))
	}
	if count < 0 {
		return nil, fmt.Errorf("takes a number of places that is not fixed; only a fixed one has a rule")
	}
	rows := b.Reshape(dy, -1, count, behind)
	return one(b.reshapeTo(b.Op("MatMul", []int64{-1, size, behind}, []string{hot, rows}), x))
}

// reshapeTo gives x the shape of another tensor.
func (b *build) reshapeTo(x, like string) string {
	if slices.Equal(b.Shape[x], b.Shape[like]) {
		return x
	}
	return b.ReshapeLike(x, like)
}

// tileRule adds up the copies. An axis of one element is summed by the walk.
func tileRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, dy := n.Input[0], b.dy(n)
	from, to := b.Shape[x], b.Shape[dy]
	if len(from) == 0 || len(from) != len(to) {
		return nil, fmt.Errorf("copies of shape %v; export the model with its shapes inferred", from)
	}
	repeats := b.constantInts(n.Input[1])
	var apart, copies []int64
	for i, d := range from {
		switch known := len(repeats) == len(from); {
		case d == 1, known && repeats[i] == 1:
			apart = append(apart, to[i])
		case d > 1 && to[i] > 0:
			copies = append(copies, int64(len(apart)))
			apart = append(apart, to[i]/d, d)
		default:
			return nil, fmt.Errorf("copies an axis whose size is not fixed; only fixed sizes have a rule")
		}
	}
	if copies == nil {
		return one(dy)
	}
	return one(b.Sum(b.Reshape(dy, apart...), copies...))
}

// stepped undoes the steps of a Slice along an axis: zeros between the values, backwards where the step is negative.
func (b *build) stepped(x string, axis, step int64) string {
	if step < 0 {
		shape := b.Shape[x]
		x = b.Op("Slice", shape, []string{x, b.Ints(-1), b.Ints(-1 << 40), b.Ints(axis), b.Ints(-1)})
		step = -step
	}
	if step == 1 {
		return x
	}
	shape := slices.Clone(b.Shape[x])
	x = b.Reshape(x, slices.Insert(slices.Clone(shape), int(axis)+1, 1)...)
	pads := make([]int64, 2*len(shape)+2)
	pads[len(shape)+1+int(axis)+1] = step - 1
	shape[axis] *= step
	return b.Reshape(b.Pad(x, pads...), shape...)
}
