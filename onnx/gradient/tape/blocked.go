package tape

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// nchwc is the domain of ORT's blocked CPU kernels. A blocked tensor of shape
// [n, c, h, w] lies in memory as [n, c/block, h, w, block]. ORT itself moves a
// convolution there only if its weights are constant; here they are not, so the
// layout is spelt out: https://github.com/microsoft/onnxruntime,
// onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc and core/mlas/lib/snchwc.cpp.
const nchwc = "com.microsoft.nchwc"

// blocked lowers with convolutions, and what stands between them, in the
// blocked layout. A tensor may exist in either layout or both: plain under its
// own name, blocked under the name in block. Conversions are made when needed.
type blocked struct {
	takeover
	size  int64
	fixed map[string]bool // constants, and what is computed from them alone
	plain map[string]bool
	block map[string]string
	zero  string // a float32 0 that depends on the run, once it is needed
}

func newBlocked(t *Tape, size int64, nodes []*onnxpb.NodeProto, outputs []*onnxpb.ValueInfoProto,
	fixed map[string]bool) *blocked {
	plain, uses := sources(nodes, outputs, fixed)
	l := &blocked{size: size, fixed: fixed, plain: plain, block: map[string]string{}}
	l.takeover = newTakeover(t, uses, func(from, to string) { l.block[to] = l.block[from] })
	return l
}

// sources are the tensors that no node makes, which are plain, and how often each tensor is read. What is computed
// from constants alone joins fixed.
func sources(nodes []*onnxpb.NodeProto, outputs []*onnxpb.ValueInfoProto,
	fixed map[string]bool) (plain map[string]bool, uses map[string]int) {
	plain, uses = map[string]bool{}, map[string]int{}
	made := map[string]bool{}
	for _, n := range nodes {
		reads := graph.Reads(n)
		varies := slices.ContainsFunc(reads, func(in string) bool { return !fixed[in] })
		for _, out := range n.Output {
			made[out], fixed[out] = true, !varies
		}
		for _, in := range reads {
			uses[in]++
			if !made[in] {
				plain[in] = true // an input of the graph or an initializer
			}
		}
	}
	for _, out := range outputs {
		uses[out.GetName()]++
	}
	return plain, uses
}

func (l *blocked) run(nodes []*onnxpb.NodeProto, outputs []*onnxpb.ValueInfoProto) {
	for _, n := range nodes {
		if l.convert(n) {
			continue
		}
		if l.operator(n) == "Shape" && l.block[n.Input[0]] != "" {
			n.Input[0] = l.block[n.Input[0]] // the same numbers, no conversion
		} else {
			for _, in := range graph.Reads(n) {
				l.asPlain(in)
			}
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

// operator is the name of one of ONNX's own operators, "" for any other.
func (l *blocked) operator(n *onnxpb.NodeProto) string {
	if _, ok := l.pseudos[n]; ok {
		return ""
	}
	return graph.OpOf(n).Standard()
}

// convert emits n on blocked tensors and reports whether it could.
func (l *blocked) convert(n *onnxpb.NodeProto) bool {
	p := l.pseudos[n]
	switch p.kind {
	case ConvGradInput:
		return l.gradInput(n, p.window)
	case ConvGradFilter:
		return l.gradFilter(n, p.window)
	case AffineKind:
		return l.affineConv(n)
	case ChannelSumKind:
		return l.channelMean(n)
	}
	switch l.operator(n) {
	case "Conv":
		return l.conv(n)
	case "GlobalAveragePool":
		return l.globalAverage(n)
	case "Add", "Sub", "Mul", "Div":
		return l.binary(n)
	case "Abs", "Clip", "Elu", "Exp", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Neg", "Reciprocal",
		"Relu", "Sigmoid", "Sign", "Softplus", "Sqrt", "Tanh":
		return l.unaryOp(n)
	}
	return false
}

// fitting reports whether a tensor can be blocked at all.
func (l *blocked) fitting(name string) bool {
	s := l.Shape[name]
	return len(s) == 4 && s[1] > 0 && s[1]%l.size == 0
}

func (l *blocked) asPlain(name string) string {
	if b := l.block[name]; b != "" && !l.plain[name] {
		l.plain[name] = true
		l.OpTo(nchwc+".ReorderOutput", name, nil, []string{b}, graph.Int("channels", l.Shape[name][1]))
	}
	return name
}

func (l *blocked) asBlocked(name string) string {
	if l.block[name] == "" {
		l.block[name] = l.Op(nchwc+".ReorderInput", l.Shape[name], []string{name})
	}
	return l.block[name]
}

// emit adds a node whose output is the blocked form of tensor out.
func (l *blocked) emit(kind, out string, inputs []string, attrs ...graph.Attr) {
	l.block[out] = l.Op(kind, l.Shape[out], inputs, attrs...)
	if kind == nchwc+".Conv" {
		l.keepOpen(out, l.Nodes[len(l.Nodes)-1])
	}
}

func (l *blocked) binary(n *onnxpb.NodeProto) bool {
	a, b := n.Input[0], n.Input[1]
	sb, known := l.Shape[b]
	switch {
	case known && !slices.ContainsFunc(sb, func(d int64) bool { return d != 1 }) && l.block[a] != "":
		l.emit(n.GetOpType(), n.Output[0], []string{l.block[a], l.asPlain(b)}, n.Attribute...)
		return true
	case !slices.Equal(l.Shape[a], sb) || !l.fitting(a) || l.block[a] == "" && l.block[b] == "":
		return false
	}
	if n.GetOpType() == "Add" && l.addTo(n, l.asBlocked) {
		return true
	}
	l.emit(n.GetOpType(), n.Output[0], []string{l.asBlocked(a), l.asBlocked(b)})
	return true
}

func (l *blocked) unaryOp(n *onnxpb.NodeProto) bool {
	x, kind := n.Input[0], n.GetOpType()
	if l.block[x] == "" {
		return false
	}
	if kind == "Relu" && l.activate(x, n.Output[0], graph.Str("activation", "Relu")) {
		return true
	}
	l.emit(kind, n.Output[0], append([]string{l.block[x]}, n.Input[1:]...), n.Attribute...)
	return true
}

// affineConv is a depthwise convolution with a kernel of one pixel: one pass,
// where the sum and the activation that follow come for free.
func (l *blocked) affineConv(n *onnxpb.NodeProto) bool {
	x := n.Input[0]
	if l.block[x] == "" {
		return false
	}
	c := l.Shape[x][1]
	in := append([]string{l.block[x], l.Reshape(n.Input[1], c, 1, 1, 1)}, n.Input[2:]...)
	l.emit(nchwc+".Conv", n.Output[0], in, graph.Int("group", c), graph.Ints("kernel_shape", 1, 1))
	return true
}

// channelMean is a global average, whose result is the same in both layouts,
// summed over the batch and multiplied by the pixels. Rows are averaged first:
// a sum of sums rounds less than one long sum.
func (l *blocked) channelMean(n *onnxpb.NodeProto) bool {
	x := n.Input[0]
	if l.block[x] == "" {
		return false
	}
	s := l.Shape[x]
	rows := l.Op(nchwc+".AveragePool", []int64{s[0], s[1], s[2], 1}, []string{l.block[x]},
		graph.Ints("kernel_shape", 1, s[3]))
	mean := l.Op(nchwc+".GlobalAveragePool", []int64{s[0], s[1], 1, 1}, []string{rows})
	l.OpTo("Mul", n.Output[0], nil, []string{l.Sum(mean, 0, 2, 3), l.Scalar(float32(s[2] * s[3]))})
	l.plain[n.Output[0]] = true
	return true
}

func (l *blocked) globalAverage(n *onnxpb.NodeProto) bool {
	x := n.Input[0]
	if l.block[x] == "" {
		return false
	}
	n.Input[0], n.Domain = l.block[x], proto.String(nchwc)
	l.Nodes = append(l.Nodes, n)
	l.plain[n.Output[0]] = true
	return true
}
