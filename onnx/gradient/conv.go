package gradient

import (
	"fmt"
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// window is the geometry of a two-dimensional convolution or pooling between an
// input and an output, its padding spelt out: top, left, bottom, right.
type window struct {
	graph.Window
	in, out           [2]int64 // height, width
	channels, filters int64
}

// windowOf reads the geometry of node n with input x and output y. Kernel is its
// filter's, nil for a pooling, which says it in an attribute.
func windowOf(n *onnxpb.NodeProto, x, y, kernel []int64) (window, error) {
	g, err := graph.WindowOf(n, kernel)
	if err != nil {
		return window{}, err
	}
	if len(x) != 4 || len(y) != 4 || len(g.Kernel) != 2 || slices.Contains(slices.Concat(x[1:], y[1:]), -1) {
		return window{}, fmt.Errorf("shapes %v to %v with kernel %v; "+
			"only two-dimensional windows over fixed sizes have a rule", x, y, g.Kernel)
	}
	return window{g.Between(x[2:], y[2:]), [2]int64(x[2:]), [2]int64(y[2:]), x[1], y[1]}, nil
}

// depthwise reports one input channel and one filter a group.
func (w window) depthwise() bool {
	return w.Group == w.channels && w.Group == w.filters && w.Group > 1
}

// pointwise reports a kernel of one pixel.
func (w window) pointwise() bool { return w.Kernel[0] == 1 && w.Kernel[1] == 1 }

// unit reports a stride of one pixel.
func (w window) unit() bool { return w.Strides[0] == 1 && w.Strides[1] == 1 }

// positive is the window with no negative padding: what an operator accepts
// where the rest was cut, or is not read.
func (w window) positive() window {
	w.Pads = slices.Clone(w.Pads)
	for i, p := range w.Pads {
		w.Pads[i] = max(p, 0)
	}
	return w
}

// transposed is the convolution of stride 1 that carries dy, with zeros put
// between its pixels by the stride, back to dx; false where it would need to
// drop what it computes. Negative padding cuts.
func (w window) transposed() (window, bool) {
	b := w
	b.Strides = []int64{1, 1}
	b.in, b.out = [2]int64{w.out[0] * w.Strides[0], w.out[1] * w.Strides[1]}, w.in
	b.channels, b.filters = w.filters, w.channels
	b.Pads = make([]int64, 4)
	for i := range 2 {
		reach := (w.Kernel[i] - 1) * w.Dilations[i]
		b.Pads[i] = reach - w.Pads[i]
		b.Pads[2+i] = b.out[i] + reach - b.in[i] - b.Pads[i]
	}
	return b, b.Pads[0] >= 0 && b.Pads[1] >= 0
}

// counts is how many pixels of the input each output's window covers; full
// says that every window lies inside.
func (w window) counts() (counts []float32, full bool) {
	inside := func(axis int, at int64) (n int64) {
		for k := range w.Kernel[axis] {
			if p := at*w.Strides[axis] + k*w.Dilations[axis] - w.Pads[axis]; p >= 0 && p < w.in[axis] {
				n++
			}
		}
		return n
	}
	full = true
	for i := range w.out[0] {
		for j := range w.out[1] {
			c := inside(0, i) * inside(1, j)
			full = full && c == w.Kernel[0]*w.Kernel[1]
			counts = append(counts, float32(c))
		}
	}
	return counts, full
}
