package tape

import (
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Kind is an operator that exists only between differentiation and lowering: it
// says what a gradient is before it is said how that is computed.
type Kind string

// The kinds.
const (
	ConvGradInput  Kind = "ConvGradInput"  // dy, W -> dx
	ConvGradFilter Kind = "ConvGradFilter" // x, dy -> dW
	AffineKind     Kind = "Affine"         // x, a [, b] -> a*x + b, a and b [channels]
	ChannelSumKind Kind = "ChannelSum"     // x -> the sum over all axes but the second, [channels]

	// Those that only oneDNN's lowering knows; x is [n, c, h, w]. Attributes low and high are limits.
	NormKind        Kind = "Norm"        // x, scale, bias, guess of the mean [, sum] -> y in the limits, mean, variance
	NormGradKind    Kind = "NormGrad"    // dy, dy or "", x, y or "", scale, mean, variance -> dx, dscale, dbias [, dsum]
	ClipKind        Kind = "Clip"        // x -> y within the limits
	ClipGradKind    Kind = "ClipGrad"    // dy, dy or "", y -> dx
	MaxPoolKind     Kind = "MaxPool"     // x -> y, place in the window
	MaxPoolGradKind Kind = "MaxPoolGrad" // dy, place -> dx
)

// pseudo is what a node of such an operator is. It is kept beside the node, so
// that no model can name one.
type pseudo struct {
	kind   Kind
	window Window // of the convolution whose gradient it is
}

// Pseudo adds a node of a kind and returns its output, of the given shape.
func (t *Tape) Pseudo(k Kind, w Window, shape []int64, inputs ...string) string {
	return t.PseudoTo(k, w, t.Name(string(k)), shape, inputs...).Output[0]
}

// PseudoTo is pseudo for an output whose name is given.
func (t *Tape) PseudoTo(k Kind, w Window, out string, shape []int64, inputs ...string) *onnxpb.NodeProto {
	n := t.OpTo(string(k), out, shape, inputs)
	t.pseudos[n] = pseudo{k, w}
	return n
}

// PseudoOf is pseudo for a node with several outputs, whose names and shapes are given.
func (t *Tape) PseudoOf(k Kind, w Window, inputs, outputs []string, shapes [][]int64, attrs ...graph.Attr) {
	n := t.OpTo(string(k), outputs[0], shapes[0], inputs, attrs...)
	n.Output = outputs
	for i, out := range outputs {
		t.Used[out], t.Shape[out] = true, shapes[i]
	}
	t.pseudos[n] = pseudo{k, w}
}

// ChannelSum adds over every axis but the second: [channels].
func (t *Tape) ChannelSum(x string) string {
	return t.Pseudo(ChannelSumKind, Window{}, t.Shape[x][1:2], x)
}

// Affine is a*x+b with one a and, unless it is "", one b a channel.
func (t *Tape) Affine(x, a, b string) string {
	if b == "" {
		return t.Pseudo(AffineKind, Window{}, t.Shape[x], x, a)
	}
	return t.Pseudo(AffineKind, Window{}, t.Shape[x], x, a, b)
}
