package gradient

import (
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// lower rewrites the pseudo operators on the tape into ones that ORT has:
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

// standard emits one node; a pseudo one as standard operators.
func (t *tape) standard(n *onnxpb.NodeProto) {
	p, ok := t.pseudos[n]
	if !ok {
		t.nodes = append(t.nodes, n)
		return
	}
	switch p.kind {
	case affine:
		t.standardAffine(n)
	case channelSum:
		axes := []int64{0}
		for i := 2; i < len(t.shape[n.Input[0]]); i++ {
			axes = append(axes, int64(i))
		}
		t.opTo("ReduceSum", n.Output[0], nil, []string{n.Input[0], t.ints(axes...)}, graph.Int("keepdims", 0))
	case convGradInput:
		t.standardGradInput(n, p.window)
	case convGradFilter:
		if p.window.Group == 1 {
			t.standardGradFilter(n, p.window)
		} else {
			t.groupedGradFilter(n, p.window)
		}
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

// standardGradInput: depthwise, a convolution with the filter rotated is twice
// as fast as ConvTranspose.
func (t *tape) standardGradInput(n *onnxpb.NodeProto, win window) {
	dy, w, dx := n.Input[0], n.Input[1], n.Output[0]
	if win.depthwise() && !win.pointwise() {
		conv, _ := win.transposed()
		cut := func(i int) int64 { return min(conv.Pads[i], 0) }
		dy = t.pad(t.zeroStuff(dy, win), 0, 0, cut(0), cut(1), 0, 0, cut(2), cut(3))
		t.opTo("Conv", dx, nil, []string{dy, t.flip180(w)}, conv.positive().Attrs()...)
		return
	}
	extra := []int64{max(-win.Pads[2], 0), max(-win.Pads[3], 0)}
	t.opTo("ConvTranspose", dx, nil, []string{dy, w},
		append(win.positive().Attrs(), graph.Ints("output_padding", extra...))...)
}

// flip180 rotates a filter by half a turn: it reverses the two spatial axes.
func (t *tape) flip180(w string) string {
	s := t.shape[w]
	if s[2] == 1 && s[3] == 1 {
		return w
	}
	const end = -1 << 40 // before the first element
	return t.op("Slice", s, []string{w, t.ints(-1, -1), t.ints(end, end), t.ints(2, 3), t.ints(-1, -1)})
}

// zeroStuff puts stride-1 zeros behind each pixel.
func (t *tape) zeroStuff(x string, w window) string {
	if w.unit() {
		return x
	}
	s := t.shape[x]
	x = t.reshape(x, -1, s[2], 1, s[3], 1)
	x = t.pad(x, 0, 0, 0, 0, 0, 0, 0, w.Strides[0]-1, 0, w.Strides[1]-1)
	return t.reshape(x, -1, s[1], s[2]*w.Strides[0], s[3]*w.Strides[1])
}

// standardGradFilter is one matrix product over batch and space: the rows are
// dy's channels, the columns the pixels that each place of the kernel sees.
func (t *tape) standardGradFilter(n *onnxpb.NodeProto, w window) {
	x, dy, dw := n.Input[0], n.Input[1], n.Output[0]
	rows := t.transpose(dy, 1, 0, 2, 3)
	patches := t.im2col(t.transpose(t.padded(x, w), 1, 0, 2, 3), w)
	cols := patches[0]
	if len(patches) > 1 {
		cols = t.op("Concat", []int64{int64(len(patches)) * w.channels, -1, w.out[0], w.out[1]}, patches,
			graph.Int("axis", 0))
	}
	k := w.Kernel[0] * w.Kernel[1]
	product := t.op("Gemm", []int64{w.filters, k * w.channels},
		[]string{t.reshape(rows, w.filters, -1), t.reshape(cols, k*w.channels, -1)}, graph.Int("transB", 1))
	product = t.reshape(product, w.filters, w.Kernel[0], w.Kernel[1], w.channels)
	t.opTo("Transpose", dw, nil, []string{product}, graph.Ints("perm", 0, 3, 1, 2))
}

// groupedGradFilter is one product a group, [group, filters, pixels] by [group,
// pixels, channels], a place of the kernel at a time.
func (t *tape) groupedGradFilter(n *onnxpb.NodeProto, w window) {
	x, dy, dw := n.Input[0], n.Input[1], n.Output[0]
	channels, filters := w.channels/w.Group, w.filters/w.Group
	rows := t.reshape(t.transpose(dy, 1, 0, 2, 3), w.Group, filters, -1)
	var parts []string
	for _, patch := range t.im2col(t.transpose(t.padded(x, w), 1, 0, 2, 3), w) {
		cols := t.transpose(t.reshape(patch, w.Group, channels, -1), 0, 2, 1)
		parts = append(parts, t.op("MatMul", []int64{w.Group, filters, channels}, []string{rows, cols}))
	}
	all := parts[0]
	if len(parts) > 1 {
		for i := range parts {
			parts[i] = t.reshape(parts[i], w.filters, channels, 1)
		}
		all = t.op("Concat", []int64{w.filters, channels, int64(len(parts))}, parts, graph.Int("axis", 2))
	}
	t.opTo("Reshape", dw, nil, []string{all, t.ints(w.filters, channels, w.Kernel[0], w.Kernel[1])})
}

// padded is x with exactly the border that w reads.
func (t *tape) padded(x string, w window) string {
	return t.pad(x, 0, 0, w.Pads[0], w.Pads[1], 0, 0, w.Pads[2], w.Pads[3])
}

// im2col are the pixels of padded x that each place of the kernel sees, in row order.
func (t *tape) im2col(x string, w window) []string {
	if w.pointwise() && w.unit() {
		return []string{x}
	}
	var list []string
	for i := range w.Kernel[0] {
		for j := range w.Kernel[1] {
			top, left := i*w.Dilations[0], j*w.Dilations[1]
			bottom, right := top+(w.out[0]-1)*w.Strides[0]+1, left+(w.out[1]-1)*w.Strides[1]+1
			shape := []int64{t.shape[x][0], t.shape[x][1], w.out[0], w.out[1]}
			list = append(list, t.op("Slice", shape,
				[]string{x, t.ints(top, left), t.ints(bottom, right), t.ints(2, 3), t.ints(w.Strides...)}))
		}
	}
	return list
}
