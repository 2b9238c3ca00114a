package gradient

import (
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// lower rewrites the private operators on the tape into ones that ORT has:
// standard ones, or with block > 0 those of its blocked layout where they serve.
func lower(t *tape, block int64, outputs []*onnxpb.ValueInfoProto, fixed map[string]bool) {
	old := t.nodes
	t.nodes = nil
	if block > 0 {
		newBlocked(t, block, old, outputs, fixed).run(old, outputs)
		return
	}
	for _, n := range old {
		t.standard(n)
	}
}

// standard emits one node; a private one as standard operators.
func (t *tape) standard(n *onnxpb.NodeProto) {
	if n.GetDomain() != private {
		t.nodes = append(t.nodes, n)
		return
	}
	switch n.GetOpType() {
	case "Affine":
		t.standardAffine(n)
	case "ChannelSum":
		axes := []int64{0}
		for i := 2; i < len(t.shape[n.Input[0]]); i++ {
			axes = append(axes, int64(i))
		}
		t.opTo("ReduceSum", n.Output[0], nil, []string{n.Input[0], t.ints(axes...)}, graph.Int("keepdims", 0))
	case "ConvGradInput":
		t.standardGradInput(n)
	case "ConvGradFilter":
		t.standardGradFilter(n)
	}
}

func (t *tape) standardAffine(n *onnxpb.NodeProto) {
	x, a := n.Input[0], t.perChannel(n.Input[1], n.Input[0])
	if len(n.Input) < 3 {
		t.opTo("Mul", n.Output[0], nil, []string{x, a})
		return
	}
	t.opTo("Add", n.Output[0], nil, []string{t.mul(x, a), t.perChannel(n.Input[2], x)})
}

// perChannel gives v [channels] the shape in which it broadcasts over x.
func (t *tape) perChannel(v, x string) string {
	if len(t.shape[x]) == 2 {
		return v
	}
	return t.reshape(v, t.shape[x][1], 1, 1)
}

// windowFor reads the geometry back from a private node: x is the
// convolution's input, y its output.
func (t *tape) windowFor(n *onnxpb.NodeProto, x, y string) window {
	w, err := windowOf(n, t.shape[x], t.shape[y], graph.FindInts(n, "kernel_shape"))
	if err != nil {
		panic("gradient: " + err.Error()) // the rule has checked it
	}
	return w
}

// standardGradInput: depthwise, a convolution with the filter turned round is
// twice as fast as ConvTranspose.
func (t *tape) standardGradInput(n *onnxpb.NodeProto) {
	dy, w, dx := n.Input[0], n.Input[1], n.Output[0]
	win := t.windowFor(n, dx, dy)
	if win.depthwise() && !win.pointwise() {
		turned, _ := win.turned()
		dy = t.pad(t.spread(dy, win.stride), 0, 0, min(turned.pads[0], 0), min(turned.pads[1], 0), 0, 0, min(turned.pads[2], 0), min(turned.pads[3], 0))
		t.opTo("Conv", dx, nil, []string{dy, t.turn(w)}, turned.positive().attrs()...)
		return
	}
	extra := [2]int64{max(-win.pads[2], 0), max(-win.pads[3], 0)}
	t.opTo("ConvTranspose", dx, nil, []string{dy, w}, append(win.positive().attrs(), graph.Ints("output_padding", extra[:]...))...)
}

// positive is the window with no negative padding: what an operator accepts
// where the rest was cut, or is not read.
func (w window) positive() window {
	for i, p := range w.pads {
		w.pads[i] = max(p, 0)
	}
	return w
}

// turned is the convolution of stride 1 that carries dy, spread by the stride,
// back to dx; false where it would need to drop what it computes. Negative
// padding cuts.
func (w window) turned() (window, bool) {
	b := w
	b.stride = [2]int64{1, 1}
	b.in, b.out = [2]int64{w.out[0] * w.stride[0], w.out[1] * w.stride[1]}, w.in
	b.channels, b.filters = w.filters, w.channels
	for i := range 2 {
		reach := (w.kernel[i] - 1) * w.dilation[i]
		b.pads[i] = reach - w.pads[i]
		b.pads[2+i] = b.out[i] + reach - b.in[i] - b.pads[i]
	}
	return b, b.pads[0] >= 0 && b.pads[1] >= 0
}

// turn reverses the two spatial axes of a filter.
func (t *tape) turn(w string) string {
	s := t.shape[w]
	if s[2] == 1 && s[3] == 1 {
		return w
	}
	const end = -1 << 40 // before the first element
	return t.op("Slice", s, []string{w, t.ints(-1, -1), t.ints(end, end), t.ints(2, 3), t.ints(-1, -1)})
}

// spread puts stride-1 zeros behind each pixel.
func (t *tape) spread(x string, stride [2]int64) string {
	if stride == [2]int64{1, 1} {
		return x
	}
	s := t.shape[x]
	x = t.reshape(x, -1, s[2], 1, s[3], 1)
	x = t.pad(x, 0, 0, 0, 0, 0, 0, 0, stride[0]-1, 0, stride[1]-1)
	return t.reshape(x, -1, s[1], s[2]*stride[0], s[3]*stride[1])
}

// standardGradFilter is one matrix product over batch and space: the rows are
// dy's channels, the columns the pixels that each place of the kernel sees.
func (t *tape) standardGradFilter(n *onnxpb.NodeProto) {
	x, dy, dw := n.Input[0], n.Input[1], n.Output[0]
	w := t.windowFor(n, x, dy)
	rows := t.transpose(dy, 1, 0, 2, 3)
	if w.group == 1 {
		taps := t.taps(t.transpose(t.padded(x, w), 1, 0, 2, 3), w)
		cols := taps[0]
		if len(taps) > 1 {
			cols = t.op("Concat", []int64{int64(len(taps)) * w.channels, -1, w.out[0], w.out[1]}, taps, graph.Int("axis", 0))
		}
		k := w.kernel[0] * w.kernel[1]
		product := t.op("Gemm", []int64{w.filters, k * w.channels},
			[]string{t.reshape(rows, w.filters, -1), t.reshape(cols, k*w.channels, -1)}, graph.Int("transB", 1))
		product = t.reshape(product, w.filters, w.kernel[0], w.kernel[1], w.channels)
		t.opTo("Transpose", dw, nil, []string{product}, graph.Ints("perm", 0, 3, 1, 2))
		return
	}
	// one product a group: [group, filters, pixels] by [group, pixels, channels], a place of the kernel at a time
	perGroup, filters := w.channels/w.group, w.filters/w.group
	rows = t.reshape(rows, w.group, filters, -1)
	var parts []string
	for _, tap := range t.taps(t.transpose(t.padded(x, w), 1, 0, 2, 3), w) {
		cols := t.transpose(t.reshape(tap, w.group, perGroup, -1), 0, 2, 1)
		parts = append(parts, t.op("MatMul", []int64{w.group, filters, perGroup}, []string{rows, cols}))
	}
	all := parts[0]
	if len(parts) > 1 {
		for i := range parts {
			parts[i] = t.reshape(parts[i], w.filters, perGroup, 1)
		}
		all = t.op("Concat", []int64{w.filters, perGroup, int64(len(parts))}, parts, graph.Int("axis", 2))
	}
	t.opTo("Reshape", dw, nil, []string{all, t.ints(w.filters, perGroup, w.kernel[0], w.kernel[1])})
}

// padded is x with exactly the border that w reads.
func (t *tape) padded(x string, w window) string {
	return t.pad(x, 0, 0, w.pads[0], w.pads[1], 0, 0, w.pads[2], w.pads[3])
}

// taps are the pixels of padded x that each place of the kernel sees, in row order.
func (t *tape) taps(x string, w window) []string {
	if w.pointwise() && w.unit() {
		return []string{x}
	}
	var list []string
	for i := range w.kernel[0] {
		for j := range w.kernel[1] {
			top, left := i*w.dilation[0], j*w.dilation[1]
			shape := []int64{t.shape[x][0], t.shape[x][1], w.out[0], w.out[1]}
			list = append(list, t.op("Slice", shape, []string{x, t.ints(top, left),
				t.ints(top+(w.out[0]-1)*w.stride[0]+1, left+(w.out[1]-1)*w.stride[1]+1), t.ints(2, 3), t.ints(w.stride[0], w.stride[1])}))
		}
	}
	return list
}
