package bodies

import (
	"fmt"
	"math"
)

// liteStages is the table of EfficientNet-Lite before scaling. Stem (32), head
// (1280) and the repeats of the first and the last stage are not scaled.
var liteStages = []struct {
	repeats             int
	kernel, stride      int64
	expand, in, filters int64
}{
	{1, 3, 1, 1, 32, 16},
	{2, 3, 2, 6, 16, 24},
	{2, 5, 2, 6, 24, 40},
	{3, 3, 2, 6, 40, 80},
	{3, 5, 1, 6, 80, 112},
	{4, 5, 2, 6, 112, 192},
	{1, 3, 1, 6, 192, 320},
}

// lite builds an EfficientNet-Lite: mobile inverted bottlenecks with ReLU6 and
// without squeeze-and-excitation.
//
// Padding is TensorFlow's SAME worked out for images of the native size, and is
// asymmetric where a stride of 2 meets an even size. Images of another size run
// through the same paddings, as they do in the reference package.
//
// Source: Tan and Le 2019 (https://arxiv.org/abs/1905.11946) and
// tensorflow/tpu efficientnet/lite; numbers follow efficientnet_lite_pytorch 0.1.0.
func lite(width, depth float64, size int64) func(n *net, x string) (string, int64) {
	return func(n *net, x string) (string, int64) {
		l := &liteNet{n: n, size: size}
		n.b.Init("relu6.min", nil, []float32{0})
		n.b.Init("relu6.max", nil, []float32{6})
		x = l.conv("_conv_stem", x, 3, 32, 3, 2, 1)
		x = l.relu6("_bn0.relu", l.batchNorm("_bn0", x, 32))
		channels, block := int64(32), 0
		for i, s := range liteStages {
			repeats, stride := s.repeats, s.stride
			if i != 0 && i != len(liteStages)-1 {
				repeats = int(math.Ceil(depth * float64(repeats)))
			}
			out := roundFilters(s.filters, width)
			for range repeats {
				x = l.block(fmt.Sprintf("_blocks.%d", block), x, channels, out, s.kernel, stride, s.expand)
				channels, stride, block = out, 1, block+1
			}
		}
		x = l.conv("_conv_head", x, channels, 1280, 1, 1, 1)
		x = l.relu6("_bn1.relu", l.batchNorm("_bn1", x, 1280))
		n.classifier("_fc", x, 1280)
		return x, 1280
	}
}

// roundFilters scales a number of channels and rounds it to a multiple of 8,
// losing at most a tenth.
func roundFilters(filters int64, width float64) int64 {
	scaled := float64(filters) * width
	n := max(8, int64(scaled+4)/8*8)
	if float64(n) < 0.9*scaled {
		n += 8
	}
	return n
}

// liteNet follows the side of the feature map, which decides the padding.
type liteNet struct {
	n    *net
	size int64
}

func (l *liteNet) block(name, x string, in, out, kernel, stride, expand int64) string {
	y, wide := x, in*expand
	if expand != 1 {
		y = l.conv(name+"._expand_conv", y, in, wide, 1, 1, 1)
		y = l.relu6(name+"._bn0.relu", l.batchNorm(name+"._bn0", y, wide))
	}
	y = l.conv(name+"._depthwise_conv", y, wide, wide, kernel, stride, wide)
	y = l.relu6(name+"._bn1.relu", l.batchNorm(name+"._bn1", y, wide))
	y = l.conv(name+"._project_conv", y, wide, out, 1, 1, 1)
	y = l.batchNorm(name+"._bn2", y, out)
	if stride == 1 && in == out {
		y = l.n.b.Node("Add", name+".add", []string{y, x})
	}
	return y
}

// conv pads so that the output has ceil(size/stride) rows, the odd one below.
func (l *liteNet) conv(name, x string, in, out, k, stride, groups int64) string {
	rows := (l.size + stride - 1) / stride
	pad := max((rows-1)*stride+k-l.size, 0)
	l.size = rows
	return l.n.conv(name, x, in, out, k, stride, groups, pads{pad / 2, pad / 2, pad - pad/2, pad - pad/2})
}

func (l *liteNet) batchNorm(name, x string, channels int64) string {
	return l.n.batchNorm(name, x, channels, 1e-3, 0.99)
}

func (l *liteNet) relu6(name, x string) string {
	return l.n.b.Node("Clip", name, []string{x, "relu6.min", "relu6.max"})
}
