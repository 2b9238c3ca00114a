package tape

import (
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// takeover lets a convolution do in its pass what reads it: add another term, then
// apply an activation. The kernels of both layouts can.
type takeover struct {
	*Tape
	uses map[string]int               // how often a tensor is read
	open map[string]*onnxpb.NodeProto // tensor -> the Conv that made it, while that may take over what reads it
	same func(from, to string)        // notes that the forms of tensor from are those of tensor to
}

func newTakeover(t *Tape, uses map[string]int, same func(from, to string)) takeover {
	return takeover{t, uses, map[string]*onnxpb.NodeProto{}, same}
}

// keepOpen notes that conv, which makes tensor out, may do more. It may where out
// has one reader, whose work it then is.
func (l *takeover) keepOpen(out string, conv *onnxpb.NodeProto) {
	if l.uses[out] == 1 {
		l.open[out] = conv
	}
}

// activated reports whether a convolution applies an activation already, after which nothing more can be done.
func activated(conv *onnxpb.NodeProto) bool {
	return graph.Find(conv, "activation") != nil || graph.Find(conv, "low") != nil
}

// extend lets the convolution that makes tensor from make to as well, by change.
// It moves to the end, behind what it now reads.
func (l *takeover) extend(from, to string, change func(conv *onnxpb.NodeProto)) {
	conv := l.open[from]
	delete(l.open, from)
	change(conv)
	at := slices.Index(l.Nodes, conv)
	l.Nodes = append(slices.Delete(l.Nodes, at, at+1), conv)
	l.same(from, to)
	l.keepOpen(to, conv)
}

// addTo lets the convolution that made one term of sum n add the other one: the
// later of two, which can read what the earlier made. form is the name under which
// a tensor lies in the layout.
func (l *takeover) addTo(n *onnxpb.NodeProto, form func(tensor string) string) bool {
	term, other := n.Input[0], n.Input[1]
	if term == other {
		return false
	}
	place := func(tensor string) int { return slices.Index(l.Nodes, l.open[tensor]) }
	if l.canAdd(other) && (!l.canAdd(term) || place(other) > place(term)) {
		term, other = other, term
	}
	if !l.canAdd(term) {
		return false
	}
	sum := form(other)
	delete(l.open, other) // somebody reads it now
	l.extend(term, n.Output[0], func(conv *onnxpb.NodeProto) {
		for len(conv.Input) < 3 { // without a bias
			conv.Input = append(conv.Input, "")
		}
		conv.Input = append(conv.Input, sum)
	})
	return true
}

// canAdd reports whether a convolution makes the tensor that may add a term to it.
func (l *takeover) canAdd(tensor string) bool {
	conv := l.open[tensor]
	return conv != nil && len(conv.Input) < 4 && !activated(conv)
}

// activate lets the convolution that made x apply an activation, which attributes name, to make y.
func (l *takeover) activate(x, y string, attrs ...graph.Attr) bool {
	conv := l.open[x]
	if conv == nil || activated(conv) {
		return false
	}
	l.extend(x, y, func(conv *onnxpb.NodeProto) { conv.Attribute = append(conv.Attribute, attrs...) })
	return true
}
