package gradient

import (
	"fmt"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// convRule leaves to lowering how the two products are computed.
func convRule(b *build, n *onnxpb.NodeProto) error {
	x, w, dy := n.Input[0], n.Input[1], b.dy(n)
	if len(b.shape[w]) != 4 {
		return fmt.Errorf("filter of shape %v; only two-dimensional convolutions have a rule", b.shape[w])
	}
	win, err := windowOf(n, b.shape[x], b.shape[dy], b.shape[w][2:])
	if err != nil {
		return err
	}
	if b.wants(n, 0) {
		b.give(n, 0, b.op(private+".ConvGradInput", b.shape[x], []string{dy, w}, win.attrs()...))
	}
	if b.wants(n, 1) {
		b.give(n, 1, b.op(private+".ConvGradFilter", b.shape[w], []string{x, dy}, win.attrs()...))
	}
	if b.wants(n, 2) {
		b.give(n, 2, b.channelSum(dy))
	}
	return nil
}

// maxPoolRule sends each gradient to the place its maximum came from: the
// operator's second output, an index into the flattened input.
func maxPoolRule(b *build, n *onnxpb.NodeProto) error {
	x, dy := n.Input[0], b.dy(n)
	if len(n.Output) < 2 {
		n.Output = append(n.Output, b.name(n.Output[0]+".indices"))
		b.shape[n.Output[1]] = b.shape[n.Output[0]]
	}
	size := b.op("Reshape", []int64{1}, []string{b.op("Size", []int64{}, []string{x}), b.ints(1)})
	zeros := b.op("ConstantOfShape", []int64{-1}, []string{size})
	flat := b.op("ScatterElements", []int64{-1},
		[]string{zeros, b.reshape(n.Output[1], -1), b.reshape(dy, -1)}, graph.Int("axis", 0), graph.Str("reduction", "add"))
	b.give(n, 0, b.reshapeLike(flat, x))
	return nil
}

// averagePoolRule is the transpose of a depthwise convolution with a constant
// filter; where padding is not counted, dy is weighted beforehand.
func averagePoolRule(b *build, n *onnxpb.NodeProto) error {
	x, dy := n.Input[0], b.dy(n)
	k := graph.FindInts(n, "kernel_shape")
	win, err := windowOf(n, b.shape[x], b.shape[dy], k)
	if err != nil {
		return err
	}
	counted := graph.FindInt(n, "count_include_pad", 0) == 1
	if counted && graph.FindInt(n, "ceil_mode", 0) == 1 {
		return fmt.Errorf("ceil_mode with count_include_pad; only one of them has a rule")
	}
	win.group = win.channels
	area := float32(k[0] * k[1])
	filter := make([]float32, win.channels*k[0]*k[1])
	for i := range filter {
		filter[i] = 1 / area
	}
	if counts, full := win.counts(); !counted && !full {
		for i := range counts {
			counts[i] = area / counts[i]
		}
		dy = b.mul(dy, b.floats([]int64{1, 1, win.out[0], win.out[1]}, counts))
	}
	w := b.floats([]int64{win.channels, 1, k[0], k[1]}, filter)
	b.give(n, 0, b.op(private+".ConvGradInput", b.shape[x], []string{dy, w}, win.attrs()...))
	return nil
}

// counts is how many pixels of the input each output's window covers; full
// says that every window lies inside.
func (w window) counts() (counts []float32, full bool) {
	inside := func(axis int, at int64) (n int64) {
		for k := range w.kernel[axis] {
			if p := at*w.stride[axis] + k*w.dilation[axis] - w.pads[axis]; p >= 0 && p < w.in[axis] {
				n++
			}
		}
		return n
	}
	full = true
	for i := range w.out[0] {
		for j := range w.out[1] {
			c := inside(0, i) * inside(1, j)
			full = full && c == w.kernel[0]*w.kernel[1]
			counts = append(counts, float32(c))
		}
	}
	return counts, full
}

func globalAveragePoolRule(b *build, n *onnxpb.NodeProto) error {
	x := n.Input[0]
	s := b.shape[x]
	each := b.mul(b.dy(n), b.scalar(1/float32(s[2]*s[3])))
	b.give(n, 0, b.op("Expand", s, []string{each, b.runShape(x)}))
	return nil
}
