package gradient

import (
	"fmt"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// convRule leaves to lowering how the two products are computed.
func convRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, w, dy := n.Input[0], n.Input[1], b.dy(n)
	if len(b.shape[w]) != 4 {
		return nil, fmt.Errorf("filter of shape %v; only two-dimensional convolutions have a rule", b.shape[w])
	}
	win, err := windowOf(n, b.shape[x], b.shape[dy], b.shape[w][2:])
	if err != nil {
		return nil, err
	}
	dx := b.pseudo(convGradInput, win, b.shape[x], dy, w)
	dw := b.pseudo(convGradFilter, win, b.shape[w], x, dy)
	return []string{dx, dw, b.channelSum(dy)}, nil
}

// maxPoolRule sends each gradient to the place its maximum came from: the
// operator's second output, an index into the flattened input.
func maxPoolRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, dy := n.Input[0], b.dy(n)
	if len(n.Output) < 2 || n.Output[1] == "" {
		n.Output = append(n.Output[:1], b.name(n.Output[0]+".indices"))
		b.shape[n.Output[1]] = b.shape[n.Output[0]]
	}
	size := b.op("Reshape", []int64{1}, []string{b.op("Size", []int64{}, []string{x}), b.ints(1)})
	zeros := b.op("ConstantOfShape", []int64{-1}, []string{size})
	flat := b.op("ScatterElements", []int64{-1},
		[]string{zeros, b.reshape(n.Output[1], -1), b.reshape(dy, -1)}, graph.Int("axis", 0),
		graph.Str("reduction", "add"))
	return one(b.reshapeLike(flat, x))
}

// averagePoolRule is the transpose of a depthwise convolution with a constant
// filter; where padding is not counted, dy is weighted beforehand.
func averagePoolRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, dy := n.Input[0], b.dy(n)
	win, err := windowOf(n, b.shape[x], b.shape[dy], nil)
	if err != nil {
		return nil, err
	}
	counted := graph.FindInt(n, "count_include_pad", 0) == 1
	if counted && graph.FindInt(n, "ceil_mode", 0) == 1 {
		return nil, fmt.Errorf("ceil_mode with count_include_pad; only one of them has a rule")
	}
	win.Group = win.channels
	height, width := win.Kernel[0], win.Kernel[1]
	area := float32(height * width)
	if counts, full := win.counts(); !counted && !full {
		for i := range counts {
			counts[i] = area / counts[i]
		}
		dy = b.mul(dy, b.floats([]int64{1, 1, win.out[0], win.out[1]}, counts))
	}
	filter := make([]float32, win.channels*height*width)
	for i := range filter {
		filter[i] = 1 / area
	}
	return one(b.pseudo(convGradInput, win, b.shape[x], dy, b.floats([]int64{win.channels, 1, height, width}, filter)))
}

func globalAveragePoolRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x := n.Input[0]
	s := b.shape[x]
	each := b.mul(b.dy(n), b.scalar(1/float32(s[2]*s[3])))
	return one(b.op("Expand", s, []string{each, b.runShape(x)}))
}
