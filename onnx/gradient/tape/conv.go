package tape

import (
	"fmt"
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Window is the geometry of a two-dimensional convolution or pooling between an
// input and an output, its padding spelt out: top, left, bottom, right.
type Window struct {
	graph.Window
	In, Out           [2]int64 // height, width
	Channels, Filters int64
}

// WindowOf reads the geometry of node n with input x and output y. Kernel is its
// filter's, nil for a pooling, which says it in an attribute.
func WindowOf(n *onnxpb.NodeProto, x, y, kernel []int64) (Window, error) {
	g, err := graph.WindowOf(n, kernel)
	if err != nil {
		return Window{}, err
	}
	if len(x) != 4 || len(y) != 4 || len(g.Kernel) != 2 || slices.Contains(slices.Concat(x[1:], y[1:]), -1) {
		return Window{}, fmt.Errorf("shapes %v to %v with kernel %v; "+
			"only two-dimensional windows over fixed sizes have a rule", x, y, g.Kernel)
	}
	return Window{g.Between(x[2:], y[2:]), [2]int64(x[2:]), [2]int64(y[2:]), x[1], y[1]}, nil
}

// depthwise reports one input channel and one filter a group.
func (w Window) depthwise() bool {
	return w.Group == w.Channels && w.Group == w.Filters && w.Group > 1
}

// pointwise reports a kernel of one pixel.
func (w Window) pointwise() bool { return w.Kernel[0] == 1 && w.Kernel[1] == 1 }

// unit reports a stride of one pixel.
func (w Window) unit() bool { return w.Strides[0] == 1 && w.Strides[1] == 1 }

// positive is the window with no negative padding: what an operator accepts
// where the rest was cut, or is not read.
func (w Window) positive() Window {
	w.Pads = slices.Clone(w.Pads)
	for i, p := range w.Pads {
		w.Pads[i] = max(p, 0)
	}
	return w
}

// transposed is the convolution of stride 1 that carries dy, with zeros put
// between its pixels by the stride, back to dx; false where it would need to
// drop what it computes. Negative padding cuts.
func (w Window) transposed() (Window, bool) {
	b := w
	b.Strides = []int64{1, 1}
	b.In, b.Out = [2]int64{w.Out[0] * w.Strides[0], w.Out[1] * w.Strides[1]}, w.In
	b.Channels, b.Filters = w.Filters, w.Channels
	b.Pads = make([]int64, 4)
	for i := range 2 {
		reach := (w.Kernel[i] - 1) * w.Dilations[i]
		b.Pads[i] = reach - w.Pads[i]
		b.Pads[2+i] = b.Out[i] + reach - b.In[i] - b.Pads[i]
	}
	return b, b.Pads[0] >= 0 && b.Pads[1] >= 0
}

// Counts is how many pixels of the input each output's window covers; full
// says that every window lies inside.
func (w Window) Counts() (counts []float32, full bool) {
	inside := func(axis int, at int64) (n int64) {
		for k := range w.Kernel[axis] {
			if p := at*w.Strides[axis] + k*w.Dilations[axis] - w.Pads[axis]; p >= 0 && p < w.In[axis] {
				n++
			}
		}
		return n
	}
	full = true
	for i := range w.Out[0] {
		for j := range w.Out[1] {
			c := inside(0, i) * inside(1, j)
			full = full && c == w.Kernel[0]*w.Kernel[1]
			counts = append(counts, float32(c))
		}
	}
	return counts, full
}
