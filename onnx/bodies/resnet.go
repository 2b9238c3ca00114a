package bodies

import (
	"fmt"

	"finetune/onnx/graph"
)

// resnet builds a ResNet from the blocks of each of its four layers.
//
// Source: He et al. 2015 (https://arxiv.org/abs/1512.03385), in the form of
// torchvision's resnet.py: the bottleneck's stride is at its 3x3 convolution.
func resnet(bottleneck bool, blocks ...int) func(n *net, x string) (string, int64) {
	return func(n *net, x string) (string, int64) {
		x = n.conv("conv1", x, 3, 64, 7, 2, 1, same(3))
		x = n.relu("bn1.relu", n.resnetBN("bn1", x, 64))
		x = n.b.Node("MaxPool", "maxpool", []string{x}, graph.Ints("kernel_shape", 3, 3), graph.Ints("strides", 2, 2),
			graph.Ints("pads", 1, 1, 1, 1))
		block := n.basicBlock
		if bottleneck {
			block = n.bottleneck
		}
		channels := int64(64)
		for i, count := range blocks {
			width, stride := int64(64)<<i, int64(2)
			if i == 0 {
				stride = 1
			}
			for j := range count {
				x, channels = block(fmt.Sprintf("layer%d.%d", i+1, j), x, channels, width, stride)
				stride = 1
			}
		}
		n.classifier("fc", x, channels)
		return x, channels
	}
}

// basicBlock is two 3x3 convolutions around which the input is added.
func (n *net) basicBlock(name, x string, in, width, stride int64) (string, int64) {
	y := n.conv(name+".conv1", x, in, width, 3, stride, 1, same(1))
	y = n.relu(name+".bn1.relu", n.resnetBN(name+".bn1", y, width))
	y = n.conv(name+".conv2", y, width, width, 3, 1, 1, same(1))
	y = n.resnetBN(name+".bn2", y, width)
	return n.shortcut(name, x, y, in, width, stride), width
}

// bottleneck narrows with a 1x1 convolution, works at 3x3 and widens fourfold.
func (n *net) bottleneck(name, x string, in, width, stride int64) (string, int64) {
	out := 4 * width
	y := n.conv(name+".conv1", x, in, width, 1, 1, 1, same(0))
	y = n.relu(name+".bn1.relu", n.resnetBN(name+".bn1", y, width))
	y = n.conv(name+".conv2", y, width, width, 3, stride, 1, same(1))
	y = n.relu(name+".bn2.relu", n.resnetBN(name+".bn2", y, width))
	y = n.conv(name+".conv3", y, width, out, 1, 1, 1, same(0))
	y = n.resnetBN(name+".bn3", y, out)
	return n.shortcut(name, x, y, in, out, stride), out
}

func (n *net) shortcut(name, x, y string, in, out, stride int64) string {
	if stride != 1 || in != out {
		x = n.conv(name+".downsample.0", x, in, out, 1, stride, 1, same(0))
		x = n.resnetBN(name+".downsample.1", x, out)
	}
	return n.relu(name+".relu", n.b.Node("Add", name+".add", []string{y, x}))
}

func (n *net) resnetBN(name, x string, channels int64) string {
	return n.batchNorm(name, x, channels, 1e-5, 0.9)
}

func (n *net) relu(name, x string) string { return n.b.Node("Relu", name, []string{x}) }
