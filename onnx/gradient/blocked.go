package gradient

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
	*tape
	size  int64
	fixed map[string]bool // constants, and what is computed from them alone
	plain map[string]bool
	block map[string]string
	uses  map[string]int
	zero  string         // a float32 0 that depends on the run, once it is needed
	open  map[string]int // blocked name -> index of the Conv that made it and can still take a sum or an activation
}

func newBlocked(t *tape, size int64, nodes []*onnxpb.NodeProto, outputs []*onnxpb.ValueInfoProto, fixed map[string]bool) *blocked {
	l := &blocked{tape: t, size: size, fixed: fixed, plain: map[string]bool{}, block: map[string]string{}, uses: map[string]int{}, open: map[string]int{}}
	made := map[string]bool{}
	for _, n := range nodes {
		varies := slices.ContainsFunc(n.Input, func(in string) bool { return in != "" && !fixed[in] })
		for _, out := range n.Output {
			made[out], fixed[out] = true, !varies
		}
		for _, in := range n.Input {
			l.uses[in]++
			if !made[in] {
				l.plain[in] = true // an input of the graph or an initializer
			}
		}
	}
	for _, out := range outputs {
		l.uses[out.GetName()]++
	}
	return l
}

func (l *blocked) run(nodes []*onnxpb.NodeProto, outputs []*onnxpb.ValueInfoProto) {
	for _, n := range nodes {
		if !l.convert(n) {
			for i, in := range n.Input {
				if n.GetOpType() == "Shape" && l.block[in] != "" {
					n.Input[i] = l.block[in] // the same numbers, no conversion
				} else {
					l.asPlain(in)
				}
			}
			l.standard(n)
			for _, out := range n.Output {
				l.plain[out] = true
			}
		}
	}
	for _, out := range outputs {
		l.asPlain(out.GetName())
	}
	l.nodes = slices.DeleteFunc(l.nodes, func(n *onnxpb.NodeProto) bool { return n == nil })
}

// convert emits n on blocked tensors and reports whether it could.
func (l *blocked) convert(n *onnxpb.NodeProto) bool {
	switch n.GetOpType() {
	case "Conv":
		return l.conv(n)
	case "ConvGradInput":
		return l.gradInput(n)
	case "ConvGradFilter":
		return l.gradFilter(n)
	case "Affine":
		return l.affineConv(n)
	case "ChannelSum":
		return l.channelMean(n)
	case "GlobalAveragePool":
		return l.globalAverage(n)
	case "Add", "Sub", "Mul", "Div":
		return l.binary(n)
	case "Abs", "Clip", "Exp", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Neg", "Reciprocal", "Relu", "Sigmoid", "Sign", "Softplus", "Sqrt", "Tanh":
		return l.unaryOp(n)
	}
	return false
}

// fitting reports whether a tensor can be blocked at all.
func (l *blocked) fitting(name string) bool {
	s := l.shape[name]
	return len(s) == 4 && s[1] > 0 && s[1]%l.size == 0
}

func (l *blocked) asPlain(name string) string {
	if b := l.block[name]; b != "" && !l.plain[name] {
		l.plain[name] = true
		l.opTo(nchwc+".ReorderOutput", name, nil, []string{b}, graph.Int("channels", l.shape[name][1]))
	}
	return name
}

func (l *blocked) asBlocked(name string) string {
	if l.block[name] == "" {
		l.block[name] = l.op(nchwc+".ReorderInput", l.shape[name], []string{name})
	}
	return l.block[name]
}

// emit adds a node whose output is the blocked form of tensor out.
func (l *blocked) emit(kind, out string, inputs []string, attrs ...graph.Attr) {
	l.block[out] = l.op(kind, l.shape[out], inputs, attrs...)
	if kind == nchwc+".Conv" && l.uses[out] == 1 {
		l.open[out] = len(l.nodes) - 1
	}
}

// reopen takes the Conv that made out, if it can still be extended, from its
// place, to be put at the end. A used slot tells whether it has that already.
func (l *blocked) reopen(out string) *onnxpb.NodeProto {
	i, ok := l.open[out]
	if !ok {
		return nil
	}
	delete(l.open, out)
	n := l.nodes[i]
	l.nodes[i] = nil
	return n
}

// close puts a reopened Conv back, now making out.
func (l *blocked) close(n *onnxpb.NodeProto, out string) {
	l.block[out] = n.Output[0]
	l.nodes = append(l.nodes, n)
	if l.uses[out] == 1 {
		l.open[out] = len(l.nodes) - 1
	}
}

func (l *blocked) binary(n *onnxpb.NodeProto) bool {
	a, b := n.Input[0], n.Input[1]
	sb, known := l.shape[b]
	switch {
	case known && !slices.ContainsFunc(sb, func(d int64) bool { return d != 1 }) && l.block[a] != "":
		l.emit(n.GetOpType(), n.Output[0], []string{l.block[a], l.asPlain(b)}, n.Attribute...)
		return true
	case !slices.Equal(l.shape[a], sb) || !l.fitting(a) || l.block[a] == "" && l.block[b] == "":
		return false
	}
	if n.GetOpType() == "Add" && l.addTo(n) {
		return true
	}
	l.emit(n.GetOpType(), n.Output[0], []string{l.asBlocked(a), l.asBlocked(b)})
	return true
}

// addTo lets the later of the convolutions that made the two terms add the other term.
func (l *blocked) addTo(n *onnxpb.NodeProto) bool {
	term, other, at := "", "", -1
	for i, name := range n.Input {
		if j, ok := l.open[name]; ok && j > at && len(l.nodes[j].Input) < 4 && graph.Find(l.nodes[j], "activation") == nil && n.Input[0] != n.Input[1] {
			term, other, at = name, n.Input[1-i], j
		}
	}
	if at < 0 {
		return false
	}
	sum := l.asBlocked(other)
	delete(l.open, other)
	c := l.reopen(term)
	for len(c.Input) < 3 {
		c.Input = append(c.Input, "")
	}
	c.Input = append(c.Input, sum)
	l.close(c, n.Output[0])
	return true
}

func (l *blocked) unaryOp(n *onnxpb.NodeProto) bool {
	x := n.Input[0]
	if l.block[x] == "" {
		return false
	}
	if n.GetOpType() == "Relu" {
		if i, ok := l.open[x]; ok && graph.Find(l.nodes[i], "activation") == nil {
			c := l.reopen(x)
			c.Attribute = append(c.Attribute, graph.Str("activation", "Relu"))
			l.close(c, n.Output[0])
			return true
		}
	}
	l.emit(n.GetOpType(), n.Output[0], append([]string{l.block[x]}, n.Input[1:]...), n.Attribute...)
	return true
}

// affineConv is a depthwise convolution with a kernel of one pixel: one pass,
// where the sum and the activation that follow come for free.
func (l *blocked) affineConv(n *onnxpb.NodeProto) bool {
	x := n.Input[0]
	if l.block[x] == "" {
		return false
	}
	c := l.shape[x][1]
	in := append([]string{l.block[x], l.reshape(n.Input[1], c, 1, 1, 1)}, n.Input[2:]...)
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
	s := l.shape[x]
	rows := l.op(nchwc+".AveragePool", []int64{s[0], s[1], s[2], 1}, []string{l.block[x]}, graph.Ints("kernel_shape", 1, s[3]))
	mean := l.op(nchwc+".GlobalAveragePool", []int64{s[0], s[1], 1, 1}, []string{rows})
	l.opTo("Mul", n.Output[0], nil, []string{l.sum(mean, 0, 2, 3), l.scalar(float32(s[2] * s[3]))})
	l.plain[n.Output[0]] = true
	return true
}

func (l *blocked) globalAverage(n *onnxpb.NodeProto) bool {
	x := n.Input[0]
	if l.block[x] == "" {
		return false
	}
	n.Input[0], n.Domain = l.block[x], proto.String(nchwc)
	l.nodes = append(l.nodes, n)
	l.plain[n.Output[0]] = true
	return true
}
