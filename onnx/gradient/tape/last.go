package tape

import (
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/onednn"
)

// last lowers to the operators of package onednn, whose activations lie channels last.
// A tensor of four axes may exist in three forms: plain under its own name, last under
// the name in last, as the domain's type, and wide in float32. Conversions are made
// when needed. In onednn.Float32 last and wide are the same.
type last struct {
	takeover
	domain string
	fixed  map[string]bool // constants, and what is computed from them alone
	plain  map[string]bool
	last   map[string]string
	wide   map[string]string
	swaps  map[string]*onnxpb.NodeProto // tensor -> the Transpose that made it
}

func newLast(t *Tape, domain string, nodes []*onnxpb.NodeProto, outputs []*onnxpb.ValueInfoProto,
	fixed map[string]bool) *last {
	plain, uses := sources(nodes, outputs, fixed)
	l := &last{domain: domain, fixed: fixed, plain: plain, last: map[string]string{}, wide: map[string]string{},
		swaps: map[string]*onnxpb.NodeProto{}}
	l.takeover = newTakeover(t, uses, func(from, to string) { l.last[to], l.wide[to] = l.last[from], l.wide[from] })
	return l
}

func (l *last) run(nodes []*onnxpb.NodeProto, outputs []*onnxpb.ValueInfoProto) {
	for _, n := range nodes {
		if l.convert(n) {
			continue
		}
		for _, in := range graph.Reads(n) {
			l.asPlain(in)
		}
		l.standard(n)
		for _, out := range n.Output {
			l.plain[out] = true
		}
	}
	for _, out := range outputs {
		l.asPlain(out.GetName())
	}
}

// float32s reports whether the domain's type is float32.
func (l *last) float32s() bool { return l.domain == onednn.Float32 }

// lies reports whether a tensor exists channels last.
func (l *last) lies(name string) bool { return l.last[name] != "" || l.wide[name] != "" }

// narrow notes that tensor made is of the domain's type.
func (l *last) narrow(made string) string {
	if !l.float32s() {
		l.elem[made] = 2
	}
	return made
}

func (l *last) asPlain(name string) string {
	switch {
	case l.plain[name] || !l.lies(name):
	case l.last[name] != "":
		l.OpTo(l.domain+".Leave", name, nil, []string{l.last[name]})
	default:
		l.OpTo(onednn.Float32+".Leave", name, nil, []string{l.wide[name]})
	}
	l.plain[name] = true
	return name
}

func (l *last) asLast(name string) string {
	switch {
	case l.last[name] != "":
	case l.wide[name] != "":
		l.last[name] = l.narrow(l.Op(l.domain+".Narrow", l.Shape[name], []string{l.wide[name]}))
	default:
		l.last[name] = l.narrow(l.Op(l.domain+".Enter", l.Shape[name], []string{name}))
	}
	if l.float32s() {
		l.wide[name] = l.last[name]
	}
	return l.last[name]
}

func (l *last) asWide(name string) string {
	switch {
	case l.wide[name] != "":
	case l.float32s():
		return l.asLast(name)
	case l.last[name] != "":
		l.wide[name] = l.Op(l.domain+".Widen", l.Shape[name], []string{l.last[name]})
	default:
		l.wide[name] = l.Op(onednn.Float32+".Enter", l.Shape[name], []string{name})
	}
	return l.wide[name]
}

// made notes that a node of the domain makes tensor name, and returns what its output is called.
func (l *last) made(kind Kind, name string) string {
	out := l.narrow(l.Name(string(kind)))
	l.Shape[out], l.last[name] = l.Shape[name], out
	if l.float32s() {
		l.wide[name] = out
	}
	return out
}

// emit adds a node of the domain that makes tensor out.
func (l *last) emit(kind Kind, out string, inputs []string, attrs ...graph.Attr) *onnxpb.NodeProto {
	return l.OpTo(l.domain+"."+string(kind), l.made(kind, out), nil, inputs, attrs...)
}

// convert emits n on tensors that lie channels last and reports whether it could.
func (l *last) convert(n *onnxpb.NodeProto) bool {
	if p, ok := l.pseudos[n]; ok {
		return l.convertPseudo(n, p)
	}
	switch op := graph.OpOf(n).Standard(); op {
	case "Conv":
		return l.conv(n)
	case "MatMul", "Gemm":
		return l.product(n)
	case "Transpose":
		l.swaps[n.Output[0]] = n
	case "Shape", "Size":
		return l.shapeOf(n)
	case "Add", "Sub", "Mul", "Div":
		return l.binary(n)
	case "Abs", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Neg", "Reciprocal",
		"Relu", "Sigmoid", "Sign", "Softplus", "Sqrt", "Tanh", "Clip":
		return l.unaryOp(n)
	}
	return false
}

func (l *last) convertPseudo(n *onnxpb.NodeProto, p pseudo) bool {
	in, out, w := n.Input, n.Output, p.window
	orNone := func(name string) string {
		if name == "" {
			return ""
		}
		return l.asLast(name)
	}
	switch p.kind {
	case ConvGradInput:
		if !w.Begins() {
			return false
		}
		l.emit(p.kind, out[0], []string{l.asLast(in[0]), l.asPlain(in[1])}, append(w.positive().Attrs(), w.size())...)
	case ConvGradFilter:
		if !w.Begins() {
			return false
		}
		l.OpTo(l.domain+"."+string(p.kind), out[0], nil, []string{l.asLast(in[0]), l.asLast(in[1])},
			w.positive().Attrs()...)
		l.plain[out[0]] = true
	case AffineKind:
		return l.affine(n)
	case ChannelSumKind:
		if !l.lies(in[0]) {
			return false
		}
		l.OpTo(l.domain+"."+string(p.kind), out[0], nil, []string{l.asLast(in[0])})
		l.plain[out[0]] = true
	case NormKind:
		inputs := []string{l.asLast(in[0]), l.asPlain(in[1]), l.asPlain(in[2]), l.asPlain(in[3])}
		if len(in) > 4 {
			inputs = append(inputs, l.asLast(in[4]))
		}
		l.several("BatchNorm", n, inputs, out[:1])
	case NormGradKind:
		l.several("BatchNormGrad", n, []string{l.asLast(in[0]), orNone(in[1]), l.asLast(in[2]), orNone(in[3]),
			l.asPlain(in[4]), l.asPlain(in[5]), l.asPlain(in[6])}, slices.Concat(out[:1], out[3:]))
	case ClipKind:
		return l.clip(n)
	case ClipGradKind:
		l.emit(p.kind, out[0], []string{l.asLast(in[0]), orNone(in[1]), l.asLast(in[2])}, n.Attribute...)
	case MaxPoolKind:
		n.Attribute = append(w.positive().Attrs(), graph.Ints("size", w.Out[:]...))
		l.elem[out[1]] = 1
		l.several(p.kind, n, []string{l.asLast(in[0])}, out[:1])
	case MaxPoolGradKind:
		l.emit(p.kind, out[0], []string{l.asLast(in[0]), in[1]}, append(w.positive().Attrs(), w.size())...)
	default:
		return false
	}
	return true
}

// several emits a node of the domain with the attributes and outputs of n, of which those in lie channels last.
func (l *last) several(kind Kind, n *onnxpb.NodeProto, inputs, in []string) {
	var outputs []string
	for _, out := range n.Output {
		if slices.Contains(in, out) {
			out = l.made(kind, out)
		} else {
			l.plain[out] = true
		}
		outputs = append(outputs, out)
	}
	l.OpTo(l.domain+"."+string(kind), outputs[0], nil, inputs, n.Attribute...).Output = outputs
}

// Begins reports that the window leaves out nothing at the beginning.
func (w Window) Begins() bool { return w.Pads[0] >= 0 && w.Pads[1] >= 0 }

// size is the height and width of the input, as the gradients' operators take it.
func (w Window) size() graph.Attr { return graph.Ints("size", w.In[:]...) }

// conv takes a convolution whose filter trains. One with a constant filter is ORT's, which lays that out once.
func (l *last) conv(n *onnxpb.NodeProto) bool {
	x, w, y := n.Input[0], n.Input[1], n.Output[0]
	if l.fixed[w] || len(l.Shape[x]) != 4 {
		return false
	}
	win, err := WindowOf(n, l.Shape[x], l.Shape[y], l.Shape[w][2:])
	if err != nil || !win.Begins() {
		return false
	}
	in := []string{l.asLast(x), l.asPlain(w)}
	for _, bias := range graph.Reads(n)[2:] {
		in = append(in, l.asPlain(bias))
	}
	l.keepOpen(y, l.emit("Conv", y, in, win.positive().Attrs()...))
	return true
}

func (l *last) clip(n *onnxpb.NodeProto) bool {
	x, y := n.Input[0], n.Output[0]
	if !l.activate(x, y, n.Attribute...) {
		l.emit(ClipKind, y, []string{l.asLast(x)}, n.Attribute...)
	}
	return true
}

// affine is a depthwise convolution with a kernel of one pixel.
func (l *last) affine(n *onnxpb.NodeProto) bool {
	x := n.Input[0]
	if !l.lies(x) {
		return false
	}
	c := l.Shape[x][1]
	in := []string{l.asLast(x), l.Reshape(l.asPlain(n.Input[1]), c, 1, 1, 1)}
	for _, bias := range n.Input[2:] {
		in = append(in, l.asPlain(bias))
	}
	l.keepOpen(n.Output[0], l.emit("Conv", n.Output[0], in, graph.Int("group", c), graph.Ints("kernel_shape", 1, 1)))
	return true
}

// shapeOf reads the shape of what lies channels last, in ONNX's order.
func (l *last) shapeOf(n *onnxpb.NodeProto) bool {
	x, out := n.Input[0], n.Output[0]
	if l.plain[x] || !l.lies(x) || len(n.Attribute) > 0 {
		return false
	}
	lies := l.last[x]
	if lies == "" {
		lies = l.wide[x]
	}
	l.plain[out] = true
	if n.GetOpType() == "Size" {
		l.OpTo("Size", out, nil, []string{lies})
		return true
	}
	l.OpTo("Gather", out, nil, []string{l.Op("Shape", []int64{4}, []string{lies}), l.Ints(0, 3, 1, 2)})
	return true
}

func (l *last) binary(n *onnxpb.NodeProto) bool {
	a, b, out := n.Input[0], n.Input[1], n.Output[0]
	sa, sb := l.Shape[a], l.Shape[b]
	if !l.lies(a) && !l.lies(b) || len(l.Shape[out]) != 4 {
		return false
	}
	if n.GetOpType() == "Add" && slices.Equal(sa, sb) {
		if !l.addTo(n, l.asLast) {
			l.emit("Add", out, []string{l.asLast(a), l.asLast(b)})
		}
		return true
	}
	var in []string
	for _, name := range n.Input {
		switch s, known := l.Shape[name]; {
		case known && !slices.ContainsFunc(s, func(d int64) bool { return d != 1 }) && len(s) < 4: // one number
			in = append(in, l.asPlain(name))
		case len(s) == 4: // where it is broadcast its axes of 1 move with the others
			in = append(in, l.asWide(name))
		default:
			return false
		}
	}
	l.wideOp(n, in)
	return true
}

// unaryOp is an operator that leaves the shape: ORT's, in float32.
func (l *last) unaryOp(n *onnxpb.NodeProto) bool {
	if !l.lies(n.Input[0]) {
		return false
	}
	in := []string{l.asWide(n.Input[0])}
	for _, limit := range n.Input[1:] {
		if limit != "" {
			l.asPlain(limit)
		}
		in = append(in, limit)
	}
	l.wideOp(n, in)
	return true
}

// wideOp emits ORT's operator on tensors in float32 that lie channels last.
func (l *last) wideOp(n *onnxpb.NodeProto, in []string) {
	out := n.Output[0]
	l.wide[out] = l.Op(n.GetOpType(), l.Shape[out], in, n.Attribute...)
	if l.float32s() {
		l.last[out] = l.wide[out]
	}
}
