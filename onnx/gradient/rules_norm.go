package gradient

import (
	"fmt"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"

	"google.golang.org/protobuf/proto"
)

// batchStats reports whether a BatchNormalization uses the batch's statistics.
func (b *build) batchStats(n *onnxpb.NodeProto) bool {
	return b.trainable[n.Input[1]] && (b.o.FrozenStats == nil || !b.o.FrozenStats(n.Input[1]))
}

// batchNorm puts a BatchNormalization on the tape, with the convolution before
// it where that waited for it.
func (b *build) batchNorm(n, conv *onnxpb.NodeProto) error {
	if s := b.shape[n.Input[0]]; len(s) != 4 && len(s) != 2 {
		return b.badNode(n, "input of shape %v; only [batch, features] and [batch, channels, height, width] have a rule", s)
	}
	if b.batchStats(n) {
		b.batchNormTraining(n, conv)
	} else {
		b.batchNormFrozen(n, conv)
	}
	return nil
}

// batchNormFrozen is y = s*x + (bias - mean*s), s = scale/sqrt(variance + eps).
// After a convolution s goes into its filter and the rest into its bias, so
// that it costs nothing per pixel and its derivatives come out of the filter's.
func (b *build) batchNormFrozen(n, conv *onnxpb.NodeProto) {
	scale, bias, mean, variance := n.Input[1], n.Input[2], n.Input[3], n.Input[4]
	c := b.shape[scale]
	root := b.do("Sqrt", c, []string{b.do("Add", c, []string{variance, b.scalar(graph.FindFloat(n, "epsilon", 1e-5))})})
	s := b.do("Div", c, []string{scale, root})
	if conv == nil {
		shift := b.do("Sub", c, []string{bias, b.do("Mul", c, []string{mean, s})})
		b.step(&onnxpb.NodeProto{OpType: proto.String("Affine"), Domain: proto.String(private), Name: n.Name,
			Input: []string{n.Input[0], s, shift}, Output: n.Output[:1]})
		return
	}
	if len(conv.Input) > 2 {
		mean = b.do("Sub", c, []string{mean, conv.Input[2]})
	}
	shift := b.do("Sub", c, []string{bias, b.do("Mul", c, []string{mean, s})})
	tall := []int64{c[0], 1, 1, 1}
	w := b.do("Mul", b.shape[conv.Input[1]], []string{conv.Input[1], b.do("Reshape", tall, []string{s, b.ints(tall...)})})
	folded := proto.Clone(conv).(*onnxpb.NodeProto)
	folded.Input, folded.Output = []string{conv.Input[0], w, shift}, n.Output[:1]
	b.step(folded)
}

// batchNormTraining normalises with the mean and population variance of the
// batch and moves the running statistics, the variance as n/(n-1) times that.
// After a convolution the running mean is subtracted by its bias, which costs
// nothing and leaves values so close to centred that the variance can be had
// from the sum of squares without cancellation; elsewhere the batch's mean is
// subtracted first.
func (b *build) batchNormTraining(n, conv *onnxpb.NodeProto) {
	scale, bias, mean, variance := n.Input[1], n.Input[2], n.Input[3], n.Input[4]
	x, c := n.Input[0], b.shape[scale]
	if conv != nil {
		shift := b.op("Neg", c, []string{mean})
		if len(conv.Input) > 2 {
			shift = b.do("Sub", c, []string{conv.Input[2], mean})
		}
		x = b.name(conv.Output[0])
		b.shape[x] = b.shape[conv.Output[0]]
		shifted := proto.Clone(conv).(*onnxpb.NodeProto)
		shifted.Input, shifted.Output = []string{conv.Input[0], conv.Input[1], shift}, []string{x}
		b.step(shifted)
	}
	counted := make([]int64, len(b.shape[x]))
	for i := range counted {
		counted[i] = 1
	}
	counted[1] = c[0]
	count := b.ratio(x, counted)
	m := b.div(b.channelSum(x), count)
	centred, moved := x, m
	if conv == nil {
		centred, moved = b.affine(x, b.floats(c, ones(c[0])), b.unary("Neg", m)), b.sub(m, mean)
	}
	square := b.div(b.channelSum(b.mul(centred, centred)), count)
	if conv != nil {
		square = b.op("Max", c, []string{b.sub(square, b.mul(m, m)), b.scalar(0)})
	}
	b.running(mean, moved, n)
	unbiased := b.mul(square, b.div(count, b.sub(count, b.scalar(1))))
	b.running(variance, b.sub(unbiased, variance), n)

	inv := b.unary("Reciprocal", b.unary("Sqrt", b.add(square, b.scalar(graph.FindFloat(n, "epsilon", 1e-5)))))
	a := b.mul(scale, inv)
	shift := bias
	if conv != nil {
		shift = b.sub(bias, b.mul(a, m))
	} else {
		m = ""
	}
	b.opTo(private+".Affine", n.Output[0], b.shape[x], []string{centred, a, shift})
	// a pseudo step: what the rule needs beyond the three inputs follows them
	b.steps = append(b.steps, &onnxpb.NodeProto{OpType: proto.String("BatchNorm"), Name: n.Name,
		Input: []string{x, scale, bias, centred, inv, a, count, m}, Output: n.Output[:1]})
	b.needs[n.Output[0]] = true
}

// running makes the statistic old an input and old + momentum*change an output.
func (b *build) running(old, change string, n *onnxpb.NodeProto) {
	momentum := 1 - graph.FindFloat(n, "momentum", 0.9) // ONNX weighs the old value
	if b.o.StatMomentum > 0 {
		momentum = float32(b.o.StatMomentum)
	}
	b.moving[old] = true
	s := Stat{Name: old, Next: "next." + old, Shape: b.shape[old]}
	b.opTo("Add", s.Next, s.Shape, []string{old, b.mul(change, b.scalar(momentum))})
	b.out.Stats = append(b.out.Stats, s)
}

// batchNormRule, with z the centred input, m its mean (none if exactly 0) and
// count the values a channel:
//
//	t = sum(dy*(z-m)),  dscale = inv*t,  dbias = sum(dy)
//	dx = a*dy + k*z + (-a*dbias/count - k*m),  k = -a*inv^2*t/count
func batchNormRule(b *build, n *onnxpb.NodeProto) error {
	z, inv, a, count, m := n.Input[3], n.Input[4], n.Input[5], n.Input[6], n.Input[7]
	dy := b.dy(n)
	dbias := b.channelSum(dy)
	t := b.channelSum(b.mul(dy, z))
	if m != "" {
		t = b.sub(t, b.mul(m, dbias))
	}
	dscale := b.mul(t, inv)
	if b.wants(n, 1) {
		b.give(n, 1, dscale)
	}
	if b.wants(n, 2) {
		b.give(n, 2, dbias)
	}
	if b.wants(n, 0) {
		part := b.div(a, count)
		k := b.unary("Neg", b.mul(b.mul(part, inv), dscale))
		c := b.unary("Neg", b.mul(part, dbias))
		if m != "" {
			c = b.sub(c, b.mul(k, m))
		}
		b.give(n, 0, b.add(b.affine(dy, a, ""), b.affine(z, k, c)))
	}
	return nil
}

// layerNormRule, with z the normalised input over the last axis and inv the
// reciprocal of its deviation:
//
//	dscale = sum(dy*z),  dbias = sum(dy),  g = dy*scale
//	dx = inv*(g - mean(g) - z*mean(g*z))
func layerNormRule(b *build, n *onnxpb.NodeProto) error {
	x, scale, dy := n.Input[0], n.Input[1], b.dy(n)
	if axis, rank := graph.FindInt(n, "axis", -1), int64(len(b.shape[x])); axis != -1 && axis != rank-1 {
		return fmt.Errorf("over axes %d to %d; only the last has a rule", axis, rank-1)
	}
	if !b.wants(n, 0) && !b.wants(n, 1) {
		b.give(n, 2, b.fit(dy, n.Input[2]))
		return nil
	}
	width := b.shape[scale][len(b.shape[scale])-1]
	mean := func(v string) string { return b.mul(b.sumKeep(v, -1), b.scalar(1/float32(width))) }
	centred := b.sub(x, mean(x))
	inv := b.unary("Reciprocal", b.unary("Sqrt", b.add(mean(b.mul(centred, centred)), b.scalar(graph.FindFloat(n, "epsilon", 1e-5)))))
	z := b.mul(centred, inv)
	if b.wants(n, 1) {
		b.give(n, 1, b.fit(b.mul(dy, z), scale))
	}
	if b.wants(n, 2) {
		b.give(n, 2, b.fit(dy, n.Input[2]))
	}
	if b.wants(n, 0) {
		g := b.mul(dy, scale)
		b.give(n, 0, b.mul(b.sub(b.sub(g, mean(g)), b.mul(z, mean(b.mul(g, z)))), inv))
	}
	return nil
}

func affineRule(b *build, n *onnxpb.NodeProto) error {
	dy := b.dy(n)
	if b.wants(n, 0) {
		b.give(n, 0, b.affine(dy, n.Input[1], ""))
	}
	if b.wants(n, 1) {
		b.give(n, 1, b.channelSum(b.mul(dy, n.Input[0])))
	}
	if b.wants(n, 2) {
		b.give(n, 2, b.channelSum(dy))
	}
	return nil
}

func ones(n int64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
	}
	return v
}
