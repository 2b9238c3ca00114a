package gradient

import (
	"math"
	"slices"

	"finetune/onnx/gradient/tape"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// chain is a BatchNormalization with what follows it, of which one operator of package onednn makes one pass.
type chain struct {
	norm, add, act *onnxpb.NodeProto // add and act may be nil
	low, high      float32           // of act
}

// chains are those of a model: by their last node, and the nodes before it.
type chains struct {
	last  map[*onnxpb.NodeProto]*chain
	inner map[*onnxpb.NodeProto]bool
}

// fusible finds the chains: batch normalisations with the statistics of the batch over images, then perhaps a sum of
// two equal shapes, then perhaps limits; nobody else reads what lies between.
func (b *build) fusible(nodes []*onnxpb.NodeProto) chains {
	found := chains{map[*onnxpb.NodeProto]*chain{}, map[*onnxpb.NodeProto]bool{}}
	if b.o.OneDNN == "" {
		return found
	}
	reader := map[string]*onnxpb.NodeProto{} // of a tensor with one use
	for _, n := range nodes {
		for _, in := range graph.Reads(n) {
			if b.uses[in] == 1 {
				reader[in] = n
			}
		}
	}
	for _, n := range nodes {
		if b.m.Op(n).Standard() != "BatchNormalization" || !b.batchStats(n) || len(b.Shape[n.Input[0]]) != 4 {
			continue
		}
		c := &chain{norm: n, low: float32(math.Inf(-1)), high: float32(math.Inf(1))}
		last := n
		follow := func(next *onnxpb.NodeProto) {
			found.inner[last] = true
			last = next
		}
		if next := reader[last.Output[0]]; next != nil && found.last[next] == nil && !found.inner[next] && b.plainSum(next) {
			c.add = next
			follow(next)
		}
		if next := reader[last.Output[0]]; next != nil {
			if low, high, ok := b.limits(next); ok {
				c.act, c.low, c.high = next, low, high
				follow(next)
			}
		}
		found.last[last] = c
	}
	return found
}

// plainSum reports a sum of two different images of one shape.
func (b *build) plainSum(n *onnxpb.NodeProto) bool {
	if b.m.Op(n).Standard() != "Add" || n.Input[0] == n.Input[1] {
		return false
	}
	x, y := b.Shape[n.Input[0]], b.Shape[n.Input[1]]
	return len(x) == 4 && slices.Equal(x, y)
}

// limits are those of an activation that keeps images within constant limits.
func (b *build) limits(n *onnxpb.NodeProto) (low, high float32, ok bool) {
	low, high = float32(math.Inf(-1)), float32(math.Inf(1))
	if len(b.Shape[n.Input[0]]) != 4 {
		return low, high, false
	}
	switch b.m.Op(n).Standard() {
	case "Relu":
		return 0, high, true
	case "Clip":
		for i, limit := range []*float32{&low, &high} {
			if len(n.Input) <= i+1 || n.Input[i+1] == "" {
				continue
			}
			v := b.constantFloats(n.Input[i+1])
			if len(v) != 1 {
				return low, high, false
			}
			*limit = v[0]
		}
		return low, high, true
	}
	return low, high, false
}

func limitAttrs(low, high float32) []graph.Attr {
	return []graph.Attr{graph.Float("low", low), graph.Float("high", high)}
}

// fusedNorm puts a chain on the tape, and moves the running statistics.
func (b *build) fusedNorm(c *chain) error {
	n, err := b.batchNormOf(c.norm)
	if err != nil {
		return err
	}
	inputs, other := []string{n.x, n.scale, n.bias, n.mean}, ""
	if c.add != nil {
		n.y, other = c.add.Output[0], c.add.Input[0]
		if other == c.norm.Output[0] {
			other = c.add.Input[1]
		}
		inputs = append(inputs, other)
	}
	if c.act != nil {
		n.y = c.act.Output[0]
	}
	mean, variance := b.Name("mean"), b.Name("variance")
	attrs := append(limitAttrs(c.low, c.high), graph.Float("epsilon", n.epsilon))
	b.PseudoOf(tape.NormKind, tape.Window{}, inputs, []string{n.y, mean, variance},
		[][]int64{b.Shape[n.x], n.channels, n.channels}, attrs...)

	count := b.valuesPerChannel(n)
	unbiased := b.Mul(variance, b.Div(count, b.Sub(count, b.Scalar(1))))
	b.running(n.mean, b.Sub(mean, n.mean), n.node)
	b.running(n.variance, b.Sub(unbiased, n.variance), n.node)

	in := []string{n.x, n.scale, n.bias}
	if other != "" {
		in = append(in, other)
	}
	b.steps = append(b.steps, step{
		&onnxpb.NodeProto{OpType: n.node.OpType, Name: n.node.Name, Input: in, Output: []string{n.y}},
		func(b *build, s *onnxpb.NodeProto) ([]string, error) {
			return b.normGrad(c, n, mean, variance, other), nil
		},
	})
	b.needs[n.y] = true
	return nil
}

// normGrad is the rule of a chain.
func (b *build) normGrad(c *chain, n batchNorm, mean, variance, other string) []string {
	dy, second := b.twoTerms(n.y)
	y := n.y
	if c.act == nil {
		y = ""
	}
	outputs := []string{b.Name("dx"), b.Name("dscale"), b.Name("dbias")}
	shapes := [][]int64{b.Shape[n.x], n.channels, n.channels}
	if b.needs[other] {
		outputs, shapes = append(outputs, b.Name("dsum")), append(shapes, b.Shape[n.x])
	}
	b.PseudoOf(tape.NormGradKind, tape.Window{}, []string{dy, second, n.x, y, n.scale, mean, variance}, outputs, shapes,
		append(limitAttrs(c.low, c.high), graph.Float("epsilon", n.epsilon))...)
	return outputs
}

// twoTerms is a tensor's derivative as a sum of two terms, the second of which may be "".
func (b *build) twoTerms(name string) (string, string) {
	list := b.grads[name]
	if len(list) < 2 {
		return list[0], ""
	}
	sum := list[0]
	for _, g := range list[1 : len(list)-1] {
		sum = b.Add(sum, g)
	}
	return sum, list[len(list)-1]
}

// oneDNN puts on the tape what package onednn has an operator for, and reports whether it is such a node.
func (b *build) oneDNN(n *onnxpb.NodeProto) bool {
	if !b.reached(n) {
		return false
	}
	x, y := n.Input[0], n.Output[0]
	if low, high, ok := b.limits(n); ok {
		attrs := limitAttrs(low, high)
		b.PseudoOf(tape.ClipKind, tape.Window{}, []string{x}, []string{y}, [][]int64{b.Shape[x]}, attrs...)
		b.step(b.takeLast(), func(b *build, n *onnxpb.NodeProto) ([]string, error) {
			dy, second := b.twoTerms(y)
			dx := b.Name("dx")
			b.PseudoOf(tape.ClipGradKind, tape.Window{}, []string{dy, second, y}, []string{dx}, [][]int64{b.Shape[x]}, attrs...)
			return one(dx)
		})
		return true
	}
	var win tape.Window
	switch b.m.Op(n).Standard() {
	case "MaxPool":
		w, err := tape.WindowOf(n, b.Shape[x], b.Shape[y], nil)
		if err != nil || len(n.Output) > 1 && n.Output[1] != "" {
			return false
		}
		win = w
	case "GlobalMaxPool":
		s := b.Shape[x]
		if len(s) != 4 || s[2] < 1 || s[3] < 1 {
			return false
		}
		win = tape.Window{Window: graph.Window{Kernel: s[2:], Strides: []int64{1, 1}, Dilations: []int64{1, 1},
			Pads: make([]int64, 4), Group: 1}, In: [2]int64(s[2:]), Out: [2]int64{1, 1}, Channels: s[1], Filters: s[1]}
	default:
		return false
	}
	const most = 255 // places in a window that a byte can tell apart
	counts, _ := win.Counts()
	if win.Kernel[0]*win.Kernel[1] > most || !win.Begins() || slices.Contains(counts, 0) {
		return false // nor has a window over borders alone a largest number
	}
	place := b.Name("place")
	b.PseudoOf(tape.MaxPoolKind, win, []string{x}, []string{y, place}, [][]int64{b.Shape[y], b.Shape[y]})
	b.step(b.takeLast(), func(b *build, n *onnxpb.NodeProto) ([]string, error) {
		return one(b.Pseudo(tape.MaxPoolGradKind, win, b.Shape[x], b.dy(n), place))
	})
	return true
}
