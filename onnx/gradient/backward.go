package gradient

import (
	"fmt"
	"slices"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Rule adds the derivatives of a node's inputs, given that of its outputs: it
// reads b.dy and calls b.give for each input that b.wants.
type Rule func(b *build, n *onnxpb.NodeProto) error

// backward walks the steps from the last to the first, one rule a node.
func (b *build) backward() error {
	if s := b.shape[b.loss]; s == nil || slices.ContainsFunc(s, func(d int64) bool { return d != 1 }) {
		return failure.Data(fmt.Errorf("onnx: %s: loss %q has shape %v; a loss has one element", b.where(), b.loss, s))
	}
	b.grads[b.loss] = []string{b.floats(b.shape[b.loss], []float32{1})}
	for _, n := range slices.Backward(b.steps) {
		if !slices.ContainsFunc(n.Output, func(out string) bool { return len(b.grads[out]) > 0 }) {
			continue // the loss does not depend on it
		}
		rule := Rules[n.GetOpType()]
		if rule == nil {
			return failure.Data(fmt.Errorf("onnx: %s: operator %s (node %q) has no gradient rule; freeze up to this node or add the rule",
				b.where(), n.GetOpType(), n.GetName()))
		}
		if err := rule(b, n); err != nil {
			return b.badNode(n, "%w", err)
		}
		if err := b.checkGiven(n); err != nil {
			return err
		}
	}
	for _, p := range b.out.Params {
		if len(b.grads[p.Name]) == 0 {
			return failure.Data(fmt.Errorf("onnx: %s: loss %q does not depend on parameter %q; leave it out of the trainable ones", b.where(), b.loss, p.Name))
		}
		b.opTo("Identity", p.Grad, p.Shape, []string{b.total(p.Name)})
	}
	return nil
}

// wants reports whether input i of n is there and a parameter reaches it.
func (b *build) wants(n *onnxpb.NodeProto, i int) bool {
	return i < len(n.Input) && b.needs[n.Input[i]]
}

// give adds one contribution to the derivative of input i of n, in the input's
// own shape; see fit for a broadcast one.
func (b *build) give(n *onnxpb.NodeProto, i int, grad string) {
	b.grads[n.Input[i]] = append(b.grads[n.Input[i]], grad)
}

// checkGiven finds a derivative that has not the shape of its tensor: what
// follows from it would fail far from here.
func (b *build) checkGiven(n *onnxpb.NodeProto) error {
	for _, in := range n.Input {
		for _, g := range b.grads[in] {
			got, want := b.shape[g], b.shape[in]
			if !slices.EqualFunc(got, want, func(x, y int64) bool { return x == y || x < 0 || y < 0 }) {
				return b.badNode(n, "its rule gives input %q of shape %v a derivative of shape %v", in, want, got)
			}
		}
	}
	return nil
}

// dy is the derivative of n's first output.
func (b *build) dy(n *onnxpb.NodeProto) string { return b.total(n.Output[0]) }

// total adds up the contributions to a tensor's derivative.
func (b *build) total(name string) string {
	list := b.grads[name]
	sum := list[0]
	for _, g := range list[1:] {
		sum = b.add(sum, g)
	}
	b.grads[name] = []string{sum}
	return sum
}

// fit sums grad, which has the shape of the tensor from, over the axes along
// which the tensor to was broadcast, and gives it the shape of to.
func (b *build) fit(grad, to string) string {
	from, want := b.shape[grad], b.shape[to]
	var axes []int64
	lead := len(from) - len(want)
	for i, d := range from {
		if i < lead || want[i-lead] == 1 && d != 1 {
			axes = append(axes, int64(i))
		}
	}
	switch {
	case len(axes) == 0:
		return grad
	case len(from) == 4 && slices.Equal(axes, []int64{0, 2, 3}):
		return b.reshape(b.channelSum(grad), want...)
	}
	s := b.sum(grad, axes...)
	if len(b.shape[s]) == len(want) {
		return s
	}
	return b.reshapeLike(s, to)
}

// constantTensor is the tensor of a constant: an initializer that is not
// trained, a Constant node or one of the tape's; nil for anything else.
func (b *build) constantTensor(name string) *onnxpb.TensorProto {
	if t := b.inits[name]; t != nil && !b.trainable[name] {
		return t
	}
	for _, t := range b.consts {
		if t.GetName() == name {
			return t
		}
	}
	for _, n := range b.m.Graph.Node {
		if n.GetOpType() == "Constant" && n.Output[0] == name {
			return graph.Find(n, "value").GetT()
		}
	}
	return nil
}

// constantFloats is the value of a float32 constant, nil for anything else.
func (b *build) constantFloats(name string) []float32 {
	if t := b.constantTensor(name); t != nil {
		if v, err := graph.FloatsOf(t); err == nil {
			return v
		}
	}
	return nil
}

// constantInts is the value of an integer constant, or of what follows from the
// shapes; nil for anything else.
func (b *build) constantInts(name string) []int64 {
	if t := b.constantTensor(name); t != nil {
		if v, err := graph.IntsOf(t); err == nil {
			return v
		}
	}
	return b.values[name]
}
