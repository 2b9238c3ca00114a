package gradient

import (
	"fmt"
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// window is the geometry of a two-dimensional convolution or pooling.
// Pads are top, left, bottom, right; the padding to the end is what the output
// needs, which may be less than what the operator was given, even negative.
type window struct {
	kernel, stride, dilation, in, out [2]int64
	pads                              [4]int64
	group, channels, filters          int64
}

// windowOf reads the geometry of node n with input x, output y and kernel.
func windowOf(n *onnxpb.NodeProto, x, y, kernel []int64) (window, error) {
	if len(x) != 4 || len(y) != 4 || len(kernel) != 2 || slices.Contains(append(x[1:], y[1:]...), -1) {
		return window{}, fmt.Errorf("shapes %v to %v with kernel %v; only two-dimensional windows over fixed sizes have a rule", x, y, kernel)
	}
	w := window{group: graph.FindInt(n, "group", 1), channels: x[1], filters: y[1]}
	copy(w.kernel[:], kernel)
	copy(w.in[:], x[2:])
	copy(w.out[:], y[2:])
	copy(w.stride[:], graph.FindInts(n, "strides", 1, 1))
	copy(w.dilation[:], graph.FindInts(n, "dilations", 1, 1))
	begin := graph.FindInts(n, "pads", 0, 0, 0, 0)
	if sizes := slices.Concat(w.kernel[:], w.stride[:], w.dilation[:]); slices.Min(sizes) < 1 || w.group < 1 || len(begin) != 4 {
		return window{}, fmt.Errorf("kernel %v, strides %v, dilations %v, %d groups, pads %v are no window; export the model again", w.kernel, w.stride, w.dilation, w.group, begin)
	}
	auto := graph.FindStr(n, "auto_pad", "NOTSET")
	for i := range 2 {
		reach := (w.out[i]-1)*w.stride[i] + (w.kernel[i]-1)*w.dilation[i] + 1
		total := max(reach-w.in[i], 0)
		switch auto {
		case "NOTSET":
			w.pads[i] = begin[i]
		case "SAME_UPPER":
			w.pads[i] = total / 2
		case "SAME_LOWER":
			w.pads[i] = total - total/2
		case "VALID":
		default:
			return window{}, fmt.Errorf("auto_pad %q is unknown; export the model with explicit pads", auto)
		}
		w.pads[2+i] = reach - w.in[i] - w.pads[i]
	}
	return w, nil
}

// depthwise reports one input channel and one filter a group.
func (w window) depthwise() bool {
	return w.group == w.channels && w.group == w.filters && w.group > 1
}

// pointwise reports a kernel of one pixel.
func (w window) pointwise() bool { return w.kernel == [2]int64{1, 1} }

func (w window) unit() bool { return w.stride == [2]int64{1, 1} }

// attrs are the window as attributes of Conv.
func (w window) attrs() []graph.Attr {
	return []graph.Attr{
		graph.Ints("kernel_shape", w.kernel[:]...), graph.Ints("strides", w.stride[:]...), graph.Ints("dilations", w.dilation[:]...),
		graph.Ints("pads", w.pads[:]...), graph.Int("group", w.group),
	}
}
