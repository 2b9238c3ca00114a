package tape

import (
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// least is the size of a matrix from which a product in bfloat16 is worth rounding its operands.
const least = 32

// operand is a matrix of a product, or a stack of them, as it is or with its last two axes swapped.
type operand struct {
	name    string
	shape   []int64
	swapped bool
}

func (o operand) rows() int64    { return o.last(o.swapped) }
func (o operand) columns() int64 { return o.last(!o.swapped) }

func (o operand) last(second bool) int64 {
	if second {
		return o.shape[len(o.shape)-1]
	}
	return o.shape[len(o.shape)-2]
}

// product leaves a product of matrices to package onednn where its domain multiplies in fewer bits: the operands and
// the result are float32. It reports whether it could.
func (l *last) product(n *onnxpb.NodeProto) bool {
	if l.float32s() {
		return false // ORT's own is as fast
	}
	a, known := l.operand(n.Input[0], graph.FindInt(n, "transA", 0) == 1)
	b, knownToo := l.operand(n.Input[1], graph.FindInt(n, "transB", 0) == 1)
	if !known || !knownToo || small(a.rows()) || small(a.columns()) || small(b.columns()) ||
		graph.FindFloat(n, "alpha", 1) != 1 || graph.FindFloat(n, "beta", 1) != 1 {
		return false
	}
	stack := slices.Equal(a.shape[:len(a.shape)-2], b.shape[:len(b.shape)-2])
	if len(b.shape) == 2 && len(a.shape) > 2 { // one matrix for all rows, which then lie as one matrix
		a, _ = l.operandAsItIs(n.Input[0])
		stack = true
	}
	bias := graph.Reads(n)[2:]
	unlike := func(c string) bool { return !slices.Equal(l.Shape[c], []int64{b.columns()}) }
	if !stack || slices.ContainsFunc(bias, unlike) {
		return false
	}
	in := []string{l.asPlain(a.name), l.asPlain(b.name)}
	for _, c := range bias {
		in = append(in, l.asPlain(c))
	}
	flag := map[bool]int64{true: 1}
	l.OpTo(l.domain+".MatMul", n.Output[0], nil, in, graph.Int("transA", flag[a.swapped]),
		graph.Int("transB", flag[b.swapped]))
	l.plain[n.Output[0]] = true
	return true
}

// small reports a known size below the least; an open one is that of a batch.
func small(size int64) bool { return size >= 0 && size < least }

func (l *last) operandAsItIs(name string) (operand, bool) {
	s, known := l.Shape[name]
	return operand{name: name, shape: s}, known && len(s) >= 2
}

// operand looks behind a Transpose of the last two axes.
func (l *last) operand(name string, swapped bool) (operand, bool) {
	if swap := l.swaps[name]; swap != nil {
		perm := graph.FindInts(swap, "perm")
		straight := true
		for i, p := range perm[:max(len(perm)-2, 0)] {
			straight = straight && p == int64(i)
		}
		if k := int64(len(perm)); straight && k >= 2 && perm[k-1] == k-2 && perm[k-2] == k-1 {
			name, swapped = swap.Input[0], !swapped
		}
	}
	o, known := l.operandAsItIs(name)
	o.swapped = swapped
	return o, known
}
