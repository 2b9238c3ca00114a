package tape

import (
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Target says which operators to lower to. The zero value is ONNX's own.
type Target struct {
	Block  int64  // > 0: ORT's blocked layout, with so many channels a block, where it serves
	Domain string // not "": those of package onednn, in this domain of it, where they serve
}

// Lower rewrites the pseudo operators on the tape into ones that ORT has, or is given.
func Lower(t *Tape, to Target, outputs []*onnxpb.ValueInfoProto, fixed map[string]bool) {
	old := t.Nodes
	t.Nodes = nil
	switch {
	case to.Domain != "":
		newLast(t, to.Domain, old, outputs, fixed).run(old, outputs)
		return
	case to.Block > 0:
		newBlocked(t, to.Block, old, outputs, fixed).run(old, outputs)
		return
	}
	for _, n := range old {
		t.standard(n)
	}
}

// standard emits one node; a pseudo one as standard operators.
func (t *Tape) standard(n *onnxpb.NodeProto) {
	p, ok := t.pseudos[n]
	if !ok {
		t.Nodes = append(t.Nodes, n)
		return
	}
	switch p.kind {
	case AffineKind:
		t.standardAffine(n)
	case ChannelSumKind:
		axes := []int64{0}
		for i := 2; i < len(t.Shape[n.Input[0]]); i++ {
			axes = append(axes, int64(i))
		}
		t.OpTo("ReduceSum", n.Output[0], nil, []string{n.Input[0], t.Ints(axes...)}, graph.Int("keepdims", 0))
	case ConvGradInput:
		t.standardGradInput(n, p.window)
	case ConvGradFilter:
		if p.window.Group == 1 {
			t.standardGradFilter(n, p.window)
		} else {
			t.groupedGradFilter(n, p.window)
		}
	}
}

func (t *Tape) standardAffine(n *onnxpb.NodeProto) {
	x, a := n.Input[0], t.perChannel(n.Input[1], n.Input[0])
	if len(n.Input) < 3 {
		t.OpTo("Mul", n.Output[0], nil, []string{x, a})
		return
	}
	t.OpTo("Add", n.Output[0], nil, []string{t.Mul(x, a), t.perChannel(n.Input[2], x)})
}

// perChannel gives v [channels] the shape in which it broadcasts over x.
func (t *Tape) perChannel(v, x string) string {
	if len(t.Shape[x]) == 2 {
		return v
	}
	return t.Reshape(v, t.Shape[x][1], 1, 1)
}

// standardGradInput: depthwise, a convolution with the filter rotated is twice
// as fast as ConvTranspose.
func (t *Tape) standardGradInput(n *onnxpb.NodeProto, win Window) {
	dy, w, dx := n.Input[0], n.Input[1], n.Output[0]
	if win.depthwise() && !win.pointwise() {
		conv, _ := win.transposed()
		cut := func(i int) int64 { return min(conv.Pads[i], 0) }
		dy = t.Pad(t.zeroStuff(dy, win), 0, 0, cut(0), cut(1), 0, 0, cut(2), cut(3))
		t.OpTo("Conv", dx, nil, []string{dy, t.flip180(w)}, conv.positive().Attrs()...)
		return
	}
	extra := []int64{max(-win.Pads[2], 0), max(-win.Pads[3], 0)}
	t.OpTo("ConvTranspose", dx, nil, []string{dy, w},
		append(win.positive().Attrs(), graph.Ints("output_padding", extra...))...)
}

// flip180 rotates a filter by half a turn: it reverses the two spatial axes.
func (t *Tape) flip180(w string) string {
	s := t.Shape[w]
	if s[2] == 1 && s[3] == 1 {
		return w
	}
	const end = -1 << 40 // before the first element
	return t.Op("Slice", s, []string{w, t.Ints(-1, -1), t.Ints(end, end), t.Ints(2, 3), t.Ints(-1, -1)})
}

// zeroStuff puts stride-1 zeros behind each pixel.
func (t *Tape) zeroStuff(x string, w Window) string {
	if w.unit() {
		return x
	}
	s := t.Shape[x]
	x = t.Reshape(x, -1, s[2], 1, s[3], 1)
	x = t.Pad(x, 0, 0, 0, 0, 0, 0, 0, w.Strides[0]-1, 0, w.Strides[1]-1)
	return t.Reshape(x, -1, s[1], s[2]*w.Strides[0], s[3]*w.Strides[1])
}

// standardGradFilter is one matrix product over batch and space: the rows are
// dy's channels, the columns the pixels that each place of the kernel sees.
func (t *Tape) standardGradFilter(n *onnxpb.NodeProto, w Window) {
	x, dy, dw := n.Input[0], n.Input[1], n.Output[0]
	rows := t.Transpose(dy, 1, 0, 2, 3)
	patches := t.im2col(t.Transpose(t.padded(x, w), 1, 0, 2, 3), w)
	cols := patches[0]
	if len(patches) > 1 {
		cols = t.Op("Concat", []int64{int64(len(patches)) * w.Channels, -1, w.Out[0], w.Out[1]}, patches,
			graph.Int("axis", 0))
	}
	k := w.Kernel[0] * w.Kernel[1]
	product := t.Op("Gemm", []int64{w.Filters, k * w.Channels},
		[]string{t.Reshape(rows, w.Filters, -1), t.Reshape(cols, k*w.Channels, -1)}, graph.Int("transB", 1))
	product = t.Reshape(product, w.Filters, w.Kernel[0], w.Kernel[1], w.Channels)
	t.OpTo("Transpose", dw, nil, []string{product}, graph.Ints("perm", 0, 3, 1, 2))
}

// groupedGradFilter is one product a group, [group, filters, pixels] by [group,
// pixels, channels], a place of the kernel at a time.
func (t *Tape) groupedGradFilter(n *onnxpb.NodeProto, w Window) {
	x, dy, dw := n.Input[0], n.Input[1], n.Output[0]
	channels, filters := w.Channels/w.Group, w.Filters/w.Group
	rows := t.Reshape(t.Transpose(dy, 1, 0, 2, 3), w.Group, filters, -1)
	var parts []string
	for _, patch := range t.im2col(t.Transpose(t.padded(x, w), 1, 0, 2, 3), w) {
		cols := t.Transpose(t.Reshape(patch, w.Group, channels, -1), 0, 2, 1)
		parts = append(parts, t.Op("MatMul", []int64{w.Group, filters, channels}, []string{rows, cols}))
	}
	all := parts[0]
	if len(parts) > 1 {
		for i := range parts {
			parts[i] = t.Reshape(parts[i], w.Filters, channels, 1)
		}
		all = t.Op("Concat", []int64{w.Filters, channels, int64(len(parts))}, parts, graph.Int("axis", 2))
	}
	t.OpTo("Reshape", dw, nil, []string{all, t.Ints(w.Filters, channels, w.Kernel[0], w.Kernel[1])})
}

// padded is x with exactly the border that w reads.
func (t *Tape) padded(x string, w Window) string {
	return t.Pad(x, 0, 0, w.Pads[0], w.Pads[1], 0, 0, w.Pads[2], w.Pads[3])
}

// im2col are the pixels of padded x that each place of the kernel sees, in row order.
func (t *Tape) im2col(x string, w Window) []string {
	if w.pointwise() && w.unit() {
		return []string{x}
	}
	var list []string
	for i := range w.Kernel[0] {
		for j := range w.Kernel[1] {
			top, left := i*w.Dilations[0], j*w.Dilations[1]
			bottom, right := top+(w.Out[0]-1)*w.Strides[0]+1, left+(w.Out[1]-1)*w.Strides[1]+1
			shape := []int64{t.Shape[x][0], t.Shape[x][1], w.Out[0], w.Out[1]}
			list = append(list, t.Op("Slice", shape,
				[]string{x, t.Ints(top, left), t.Ints(bottom, right), t.Ints(2, 3), t.Ints(w.Strides...)}))
		}
	}
	return list
}
