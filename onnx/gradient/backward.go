package gradient

import (
	"fmt"
	"slices"
	"strings"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// A rule returns the derivatives of a node's inputs, one an input in their
// order: "", or none at the end, for an input that has none. Where an input was
// broadcast its derivative may still have the shape of the output; the walk sums it.
// Derivatives that are not needed are removed before they are computed.
type rule func(b *build, n *onnxpb.NodeProto) ([]string, error)

// step is a forward node to differentiate. Its rule is that of its operator in
// the table, unless the step brings one of its own.
type step struct {
	*onnxpb.NodeProto
	own rule
}

// backward walks the steps from the last to the first, one rule a node.
func (b *build) backward() error {
	if s := b.Shape[b.loss]; s == nil || slices.ContainsFunc(s, func(d int64) bool { return d != 1 }) {
		return failure.Data(fmt.Errorf("onnx: %s: loss %q has shape %v; a loss has one element", b.where(), b.loss, s))
	}
	b.grads[b.loss] = []string{b.Floats(b.Shape[b.loss], []float32{1})}
	for _, s := range slices.Backward(b.steps) {
		if !slices.ContainsFunc(s.Output, func(out string) bool { return len(b.grads[out]) > 0 }) {
			continue // the loss does not depend on it
		}
		if err := b.differentiate(s); err != nil {
			return err
		}
	}
	for _, p := range b.out.Params {
		if len(b.grads[p.Name]) == 0 {
			return failure.Data(fmt.Errorf("onnx: %s: loss %q does not depend on parameter %q; "+
				"leave it out of the trainable ones", b.where(), b.loss, p.Name))
		}
		b.OpTo("Identity", p.Grad, p.Shape, []string{b.total(p.Name)})
	}
	return nil
}

// differentiate adds what a step gives to the derivatives of its inputs.
func (b *build) differentiate(s step) error {
	r := s.own
	if r == nil {
		r = rules[b.m.Op(s.NodeProto)]
	}
	if op := b.m.Op(s.NodeProto); r == nil && strings.HasPrefix(op.Domain, graph.Contrib) {
		return failure.Data(fmt.Errorf("onnx: %s: operator %s (node %q) has no gradient rule; ONNX Runtime's optimiser "+
			"writes it: give the .onnx from before that", b.where(), op, s.GetName()))
	}
	if r == nil {
		return failure.Data(fmt.Errorf("onnx: %s: operator %s (node %q) has no gradient rule; "+
			"freeze up to this node or add the rule",
			b.where(), b.m.Op(s.NodeProto), s.GetName()))
	}
	if i := b.besides(s); i > 0 {
		return b.badNode(s.NodeProto, "its output %q reaches the loss; only output %q has a rule", s.Output[i], s.Output[0])
	}
	grads, err := r(b, s.NodeProto)
	if err != nil {
		return b.badNode(s.NodeProto, "%w", err)
	}
	for i, in := range s.Input {
		if !b.needs[in] {
			continue
		}
		if i >= len(grads) || grads[i] == "" {
			if b.trainable[in] {
				return b.badNode(s.NodeProto, "its input %q cannot be trained; leave it out of the trainable ones", in)
			}
			continue
		}
		grad, err := b.sumTo(grads[i], in)
		if err != nil {
			return b.badNode(s.NodeProto, "%w", err)
		}
		b.grads[in] = append(b.grads[in], grad)
	}
	return nil
}

// besides is an output of a step behind the first that the loss depends on, 0 for none: rules of the table, Split's
// apart, look at the first alone.
func (b *build) besides(s step) int {
	if s.own != nil || b.m.Op(s.NodeProto).Standard() == "Split" {
		return 0
	}
	for i, out := range s.Output {
		if i > 0 && len(b.grads[out]) > 0 {
			return i
		}
	}
	return 0
}

// dy is the derivative of n's first output.
func (b *build) dy(n *onnxpb.NodeProto) string { return b.total(n.Output[0]) }

// total adds up the contributions to a tensor's derivative.
func (b *build) total(name string) string {
	list := b.grads[name]
	sum := list[0]
	for _, g := range list[1:] {
		sum = b.Add(sum, g)
	}
	b.grads[name] = []string{sum}
	return sum
}

// sumTo sums grad over the axes along which the tensor to was broadcast and
// gives it the shape of to. A derivative that does not fit even so is an error:
// what follows from it would fail far from here.
func (b *build) sumTo(grad, to string) (string, error) {
	from := b.Shape[grad]
	want, known := b.Shape[to]
	switch {
	case !known && len(from) == 0: // neither shape is known: the node that hid it will say so
		return grad, nil
	case !known:
		return "", fmt.Errorf("the shape of its input %q is not known; export the model with its shapes inferred", to)
	}
	lead := len(from) - len(want)
	fits := lead >= 0
	var axes []int64
	for i, d := range from {
		if i < lead || fits && want[i-lead] == 1 && d != 1 {
			axes = append(axes, int64(i))
			continue
		}
		fits = fits && (d == want[i-lead] || d < 0 || want[i-lead] < 0)
	}
	switch {
	case !fits:
		return "", fmt.Errorf("its rule gives input %q of shape %v a derivative of shape %v", to, want, from)
	case len(axes) == 0:
		return grad, nil
	case len(from) == 4 && slices.Equal(axes, []int64{0, 2, 3}):
		return b.Reshape(b.ChannelSum(grad), want...), nil
	}
	s := b.Sum(grad, axes...)
	if len(b.Shape[s]) == len(want) {
		return s, nil
	}
	return b.ReshapeLike(s, to), nil
}

// constantTensor is the tensor of a constant: an initializer that is not
// trained, a Constant node or one of the tape's; nil for anything else.
func (b *build) constantTensor(name string) *onnxpb.TensorProto {
	if t := b.inits[name]; t != nil && !b.trainable[name] {
		return t
	}
	for _, t := range b.Consts {
		if t.GetName() == name {
			return t
		}
	}
	for _, n := range b.m.Graph.Node {
		if n.Output[0] == name && b.m.Op(n).Standard() == "Constant" {
			return graph.ConstantOf(n)
		}
	}
	return nil
}

// constantFloats is the value of a float32 constant, nil for anything else.
func (b *build) constantFloats(name string) []float32 {
	if t := b.constantTensor(name); t != nil {
		v, _ := graph.FloatsOf(t)
		return v
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
