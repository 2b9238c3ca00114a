package gradient

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/gradient/tape"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// convRule leaves to lowering how the two products are computed.
func convRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, w, dy := n.Input[0], n.Input[1], b.dy(n)
	if len(b.Shape[w]) != 4 {
		return nil, fmt.Errorf("filter of shape %v; only two-dimensional convolutions have a rule", b.Shape[w])
	}
	win, err := tape.WindowOf(n, b.Shape[x], b.Shape[dy], b.Shape[w][2:])
	if err != nil {
		return nil, err
	}
	dx := b.Pseudo(tape.ConvGradInput, win, b.Shape[x], dy, w)
	dw := b.Pseudo(tape.ConvGradFilter, win, b.Shape[w], x, dy)
	return []string{dx, dw, b.ChannelSum(dy)}, nil
}

// maxPoolRule sends each gradient to the place its maximum came from: the
// operator's second output, an index into the flattened input.
func maxPoolRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, dy := n.Input[0], b.dy(n)
	if len(n.Output) < 2 || n.Output[1] == "" {
		n.Output = append(n.Output[:1], b.Name(n.Output[0]+".indices"))
		b.Shape[n.Output[1]] = b.Shape[n.Output[0]]
	}
	places := n.Output[1]
	if graph.FindInt(n, "storage_order", 0) != 0 { // it counts down the columns; ours are along the rows
		again := proto.Clone(n).(*onnxpb.NodeProto)
		again.Attribute = slices.DeleteFunc(again.Attribute,
			func(a *onnxpb.AttributeProto) bool { return a.GetName() == "storage_order" })
		again.Output = []string{b.Name(n.Output[0] + ".again"), b.Name(n.Output[0] + ".rows")}
		b.Nodes = append(b.Nodes, again)
		places = again.Output[1]
		b.Shape[places] = b.Shape[n.Output[0]]
	}
	size := b.Op("Reshape", []int64{1}, []string{b.Op("Size", []int64{}, []string{x}), b.Ints(1)})
	zeros := b.Op("ConstantOfShape", []int64{-1}, []string{size})
	flat := b.Op("ScatterElements", []int64{-1},
		[]string{zeros, b.Reshape(places, -1), b.Reshape(dy, -1)}, graph.Int("axis", 0),
		graph.Str("reduction", "add"))
	return one(b.ReshapeLike(flat, x))
}

// averagePoolRule is the transpose of a depthwise convolution with a constant
// filter; where padding is not counted, dy is weighted beforehand.
func averagePoolRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, dy := n.Input[0], b.dy(n)
	win, err := tape.WindowOf(n, b.Shape[x], b.Shape[dy], nil)
	if err != nil {
		return nil, err
	}
	counted := graph.FindInt(n, "count_include_pad", 0) == 1
	if counted && graph.FindInt(n, "ceil_mode", 0) == 1 {
		return nil, fmt.Errorf("ceil_mode with count_include_pad; only one of them has a rule")
	}
	win.Group = win.Channels
	height, width := win.Kernel[0], win.Kernel[1]
	area := float32(height * width)
	if counts, full := win.Counts(); !counted && !full {
		for i := range counts {
			counts[i] = area / counts[i]
		}
		dy = b.Mul(dy, b.Floats([]int64{1, 1, win.Out[0], win.Out[1]}, counts))
	}
	filter := make([]float32, win.Channels*height*width)
	for i := range filter {
		filter[i] = 1 / area
	}
	kernel := b.Floats([]int64{win.Channels, 1, height, width}, filter)
	return one(b.Pseudo(tape.ConvGradInput, win, b.Shape[x], dy, kernel))
}

func globalAveragePoolRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x := n.Input[0]
	s := b.Shape[x]
	each := b.Mul(b.dy(n), b.Scalar(1/float32(s[2]*s[3])))
	return one(b.Op("Expand", s, []string{each, b.RunShape(x)}))
}
