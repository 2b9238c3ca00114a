package bodies

import (
	"fmt"

	"finetune/onnx/graph"
)

// convnext builds a ConvNeXt from the blocks and channels of each of its four stages. Linear layers are convolutions
// of one pixel, so that height and width stay open.
//
// Source: Liu et al. 2022 (https://arxiv.org/abs/2201.03545), in the form of torchvision's convnext.py.
func convnext(blocks []int, channels []int64) func(n *net, x string) (string, int64) {
	return func(n *net, x string) (string, int64) {
		x = n.biased("features.0.0", x, 3, channels[0], 4, 4, 1, 0)
		x = n.channelNorm("features.0.1", x, channels[0])
		for i, count := range blocks {
			width := channels[i]
			if i > 0 {
				name := fmt.Sprintf("features.%d", 2*i)
				x = n.channelNorm(name+".0", x, channels[i-1])
				x = n.biased(name+".1", x, channels[i-1], width, 2, 2, 1, 0)
			}
			for j := range count {
				x = n.convnextBlock(fmt.Sprintf("features.%d.%d", 2*i+1, j), x, width)
			}
		}
		n.convnextEnd(x, channels[len(channels)-1])
		return x, channels[len(channels)-1]
	}
}

// convnextBlock filters each channel at 7x7 and mixes channels in two layers, around which the input is added.
func (n *net) convnextBlock(name, x string, width int64) string {
	y := n.biased(name+".block.0", x, width, width, 7, 1, width, 3)
	y = n.channelNorm(name+".block.2", y, width)
	y = gelu(n, name+".block.4", n.pointwise(name+".block.3", y, width, 4*width))
	y = n.pointwise(name+".block.5", y, 4*width, width)
	y = n.b.Node("Mul", name+".scaled", []string{y, n.param(name+".layer_scale", width, 1, 1)})
	return n.added(name+".add", x, y)
}

// convnextEnd normalises the mean of the map and classifies it.
func (n *net) convnextEnd(x string, width int64) {
	classes := n.classesOf("classifier.2")
	x = n.b.Node("GlobalAveragePool", "avgpool", []string{x})
	x = n.b.Node("Flatten", "flatten", []string{x}, graph.Int("axis", 1))
	if _, ok := n.state["classifier.2.weight"]; !ok && len(n.state) > 0 {
		n.b.Output(x, graph.Float32, "N", width)
		return
	}
	w, bias := n.param("classifier.0.weight", width), n.param("classifier.0.bias", width)
	x = n.b.Node("LayerNormalization", "classifier.0", []string{x, w, bias}, graph.Float("epsilon", 1e-6),
		graph.Int("axis", -1))
	w, bias = n.param("classifier.2.weight", classes, width), n.param("classifier.2.bias", classes)
	n.b.Node("Gemm", "logits", []string{x, w, bias}, graph.Int("transB", 1))
	n.b.Output("logits", graph.Float32, "N", classes)
}

// biased is a convolution with bias.
func (n *net) biased(name, x string, in, out, k, stride, groups, pad int64) string {
	w, bias := n.param(name+".weight", out, in/groups, k, k), n.param(name+".bias", out)
	return n.b.Node("Conv", name, []string{x, w, bias}, graph.Ints("kernel_shape", k, k),
		graph.Ints("strides", stride, stride), graph.Ints("pads", pad, pad, pad, pad), graph.Int("group", groups))
}

// pointwise is a linear layer of each pixel's channels: weight [out, in].
func (n *net) pointwise(name, x string, in, out int64) string {
	w, bias := n.param(name+".weight", out, in), n.param(name+".bias", out)
	w = n.shaped(name+".filter", w, out, in, 1, 1)
	return n.b.Node("Conv", name, []string{x, w, bias}, graph.Ints("kernel_shape", 1, 1))
}

// channelNorm normalises each pixel over its channels.
func (n *net) channelNorm(name, x string, channels int64) string {
	w, bias := n.param(name+".weight", channels), n.param(name+".bias", channels)
	x = n.b.Node("Transpose", name+".last", []string{x}, graph.Ints("perm", 0, 2, 3, 1))
	x = n.b.Node("LayerNormalization", name+".norm", []string{x, w, bias}, graph.Float("epsilon", 1e-6),
		graph.Int("axis", -1))
	return n.b.Node("Transpose", name, []string{x}, graph.Ints("perm", 0, 3, 1, 2))
}
