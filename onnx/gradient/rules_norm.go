package gradient

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/batchnorm"
	"finetune/onnx/gradient/tape"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// batchNorm names the tensors of a BatchNormalization. All but x and y are [channels].
type batchNorm struct {
	node                              *onnxpb.NodeProto
	x, scale, bias, mean, variance, y string
	channels                          []int64 // its length is 1
	epsilon                           float32
}

// batchNormOf reads a BatchNormalization of images or of rows.
func (b *build) batchNormOf(node *onnxpb.NodeProto) (batchNorm, error) {
	in := node.Input
	if s := b.Shape[in[0]]; len(s) != 4 && len(s) != 2 {
		return batchNorm{}, b.badNode(node, "input of shape %v; "+
			"only [batch, features] and [batch, channels, height, width] have a rule", s)
	}
	return batchNorm{node: node, x: in[0], scale: in[1], bias: in[2], mean: in[3], variance: in[4], y: node.Output[0],
		channels: b.Shape[in[1]], epsilon: graph.FindFloat(node, "epsilon", batchnorm.Epsilon)}, nil
}

// batchStats reports whether a BatchNormalization uses the batch's statistics.
func (b *build) batchStats(n *onnxpb.NodeProto) bool {
	return b.trainable[n.Input[1]] && (b.o.FrozenStats == nil || !b.o.FrozenStats(n.Input[1]))
}

// batchNorm puts a BatchNormalization on the tape, with the convolution before
// it where that waited for it, nil otherwise.
func (b *build) batchNorm(node, conv *onnxpb.NodeProto) error {
	n, err := b.batchNormOf(node)
	if err != nil {
		return err
	}
	switch {
	case b.batchStats(node):
		b.batchNormTraining(n, conv)
	case conv != nil:
		b.foldedNorm(n, conv)
	default:
		b.batchNormFrozen(n)
	}
	return nil
}

// frozenScale is s = scale/sqrt(variance + eps), of running statistics.
func (b *build) frozenScale(n batchNorm) string {
	root := b.do("Sqrt", n.channels, []string{b.do("Add", n.channels, []string{n.variance, b.Scalar(n.epsilon)})})
	return b.do("Div", n.channels, []string{n.scale, root})
}

// batchNormFrozen is y = s*x + (bias - mean*s).
func (b *build) batchNormFrozen(n batchNorm) {
	s := b.frozenScale(n)
	shift := b.do("Sub", n.channels, []string{n.bias, b.do("Mul", n.channels, []string{n.mean, s})})
	b.PseudoTo(tape.AffineKind, tape.Window{}, n.y, b.Shape[n.x], n.x, s, shift)
	b.step(b.takeLast(), affineRule)
}

// foldedNorm is batchNormFrozen after a convolution: s goes into its filter and
// the rest into its bias, so that it costs nothing a pixel and its derivatives
// come out of the filter's.
func (b *build) foldedNorm(n batchNorm, conv *onnxpb.NodeProto) {
	s, mean, filter := b.frozenScale(n), n.mean, conv.Input[1]
	if len(conv.Input) > 2 {
		mean = b.do("Sub", n.channels, []string{mean, conv.Input[2]})
	}
	shift := b.do("Sub", n.channels, []string{n.bias, b.do("Mul", n.channels, []string{mean, s})})
	tall := []int64{n.channels[0], 1, 1, 1}
	scaled := b.do("Mul", b.Shape[filter], []string{filter, b.do("Reshape", tall, []string{s, b.Ints(tall...)})})
	b.step(withInputs(conv, n.y, conv.Input[0], scaled, shift), nil)
}

// withInputs is a copy of node n that reads other tensors and makes y.
func withInputs(n *onnxpb.NodeProto, y string, inputs ...string) *onnxpb.NodeProto {
	c := proto.Clone(n).(*onnxpb.NodeProto)
	c.Input, c.Output = inputs, []string{y}
	return c
}

// moments are what the batch says of the input of a batch normalisation. All
// but z and count are [channels].
type moments struct {
	z        string // the input, or the input less its mean
	mean     string // of z; "" where it is 0
	change   string // of the running mean
	variance string // of the batch, over its n values
	count    string // n, the values a channel, float32 []
}

// batchNormTraining normalises with the mean and the variance of the batch and
// moves the running statistics, the variance as n/(n-1) times that.
func (b *build) batchNormTraining(n batchNorm, conv *onnxpb.NodeProto) {
	var m moments
	if conv != nil {
		n.x = b.shiftedConv(n, conv)
		m = b.momentsOfShifted(n)
	} else {
		m = b.momentsOf(n)
	}
	b.running(n.mean, m.change, n.node)
	unbiased := b.Mul(m.variance, b.Div(m.count, b.Sub(m.count, b.Scalar(1))))
	b.running(n.variance, b.Sub(unbiased, n.variance), n.node)

	inv := b.Unary("Reciprocal", b.Unary("Sqrt", b.Add(m.variance, b.Scalar(n.epsilon))))
	a := b.Mul(n.scale, inv)
	shift := n.bias
	if m.mean != "" {
		shift = b.Sub(n.bias, b.Mul(a, m.mean))
	}
	b.PseudoTo(tape.AffineKind, tape.Window{}, n.y, b.Shape[n.x], m.z, a, shift)
	b.steps = append(b.steps, step{
		&onnxpb.NodeProto{OpType: n.node.OpType, Name: n.node.Name, Input: []string{n.x, n.scale, n.bias},
			Output: []string{n.y}},
		batchNormRule(m, a, inv),
	})
	b.needs[n.y] = true
}

// shiftedConv is the convolution before n less the running mean, by its bias.
// That costs nothing and leaves values so close to centred that the variance
// can be had from the sum of squares without cancellation.
func (b *build) shiftedConv(n batchNorm, conv *onnxpb.NodeProto) string {
	shift := b.Op("Neg", n.channels, []string{n.mean})
	if len(conv.Input) > 2 {
		shift = b.do("Sub", n.channels, []string{conv.Input[2], n.mean})
	}
	x := b.Name(conv.Output[0])
	b.Shape[x] = b.Shape[conv.Output[0]]
	b.step(withInputs(conv, x, conv.Input[0], conv.Input[1], shift), nil)
	return x
}

// momentsOfShifted are those of an input from which the running mean was taken.
func (b *build) momentsOfShifted(n batchNorm) moments {
	count := b.valuesPerChannel(n)
	mean := b.Div(b.ChannelSum(n.x), count)
	square := b.Div(b.ChannelSum(b.Mul(n.x, n.x)), count)
	variance := b.Op("Max", n.channels, []string{b.Sub(square, b.Mul(mean, mean)), b.Scalar(0)})
	return moments{z: n.x, mean: mean, change: mean, variance: variance, count: count}
}

// momentsOf are those of any input: its mean is subtracted first.
func (b *build) momentsOf(n batchNorm) moments {
	count := b.valuesPerChannel(n)
	mean := b.Div(b.ChannelSum(n.x), count)
	unit := b.Floats(n.channels, ones(n.channels[0]))
	z := b.Affine(n.x, unit, b.Unary("Neg", mean))
	variance := b.Div(b.ChannelSum(b.Mul(z, z)), count)
	return moments{z: z, change: b.Sub(mean, n.mean), variance: variance, count: count}
}

// valuesPerChannel is how many values of the batch each channel has.
func (b *build) valuesPerChannel(n batchNorm) string {
	left := slices.Repeat([]int64{1}, len(b.Shape[n.x]))
	left[1] = n.channels[0]
	return b.ratio(n.x, left)
}

// running makes the statistic old an input and old + momentum*change an output.
func (b *build) running(old, change string, n *onnxpb.NodeProto) {
	momentum := 1 - graph.FindFloat(n, "momentum", 0.9) // ONNX weighs the old value
	if b.o.StatMomentum > 0 {
		momentum = float32(b.o.StatMomentum)
	}
	b.moving[old] = true
	s := Stat{Name: old, Next: "next." + old, Shape: b.Shape[old]}
	b.OpTo("Add", s.Next, s.Shape, []string{old, b.Mul(change, b.Scalar(momentum))})
	b.out.Stats = append(b.out.Stats, s)
}

// batchNormRule, for y = a*z + …, a = scale*inv, with m the mean of z (none if
// exactly 0) and count the values a channel:
//
//	t = sum(dy*(z-m)),  dscale = inv*t,  dbias = sum(dy)
//	dx = a*dy + k*z + (-a*dbias/count - k*m),  k = -a*inv^2*t/count
func batchNormRule(s moments, a, inv string) rule {
	return func(b *build, n *onnxpb.NodeProto) ([]string, error) {
		dy := b.dy(n)
		dbias := b.ChannelSum(dy)
		t := b.ChannelSum(b.Mul(dy, s.z))
		if s.mean != "" {
			t = b.Sub(t, b.Mul(s.mean, dbias))
		}
		dscale := b.Mul(t, inv)
		part := b.Div(a, s.count)
		k := b.Unary("Neg", b.Mul(b.Mul(part, inv), dscale))
		c := b.Unary("Neg", b.Mul(part, dbias))
		if s.mean != "" {
			c = b.Sub(c, b.Mul(k, s.mean))
		}
		dx := b.Add(b.Affine(dy, a, ""), b.Affine(s.z, k, c))
		return []string{dx, dscale, dbias}, nil
	}
}

// layerNormRule, with z the normalised input over the last axis and inv the
// reciprocal of its deviation:
//
//	dscale = sum(dy*z),  dbias = sum(dy),  g = dy*scale
//	dx = inv*(g - mean(g) - z*mean(g*z))
func layerNormRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, scale, dy := n.Input[0], n.Input[1], b.dy(n)
	if axis, rank := graph.FindInt(n, "axis", -1), int64(len(b.Shape[x])); axis != -1 && axis != rank-1 {
		return nil, fmt.Errorf("over axes %d to %d; only the last has a rule", axis, rank-1)
	}
	width := b.Shape[scale][len(b.Shape[scale])-1]
	mean := func(v string) string { return b.Mul(b.sumKeep(v, -1), b.Scalar(1/float32(width))) }
	centred := b.Sub(x, mean(x))
	variance := mean(b.Mul(centred, centred))
	inv := b.Unary("Reciprocal", b.Unary("Sqrt", b.Add(variance,
		b.Scalar(graph.FindFloat(n, "epsilon", batchnorm.Epsilon)))))
	z := b.Mul(centred, inv)
	g := b.Mul(dy, scale)
	dx := b.Mul(b.Sub(b.Sub(g, mean(g)), b.Mul(z, mean(b.Mul(g, z)))), inv)
	return []string{dx, b.Mul(dy, z), dy}, nil
}

// affineRule: y = a*x + b.
func affineRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	dy := b.dy(n)
	return []string{b.Affine(dy, n.Input[1], ""), b.ChannelSum(b.Mul(dy, n.Input[0])), b.ChannelSum(dy)}, nil
}

func ones(n int64) []float32 { return slices.Repeat([]float32{1}, int(n)) }
