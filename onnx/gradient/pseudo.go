package gradient

import "finetune/onnx/graph/onnxpb"

// kind is an operator that exists only between differentiation and lowering: it
// says what a gradient is before it is said how that is computed.
type kind string

const (
	convGradInput  kind = "ConvGradInput"  // dy, W -> dx
	convGradFilter kind = "ConvGradFilter" // x, dy -> dW
	affine         kind = "Affine"         // x, a [, b] -> a*x + b, a and b [channels]
	channelSum     kind = "ChannelSum"     // x -> the sum over all axes but the second, [channels]
)

// pseudo is what a node of such an operator is. It is kept beside the node, so
// that no model can name one.
type pseudo struct {
	kind   kind
	window window // of the convolution whose gradient it is
}

// pseudo adds a node of a kind and returns its output, of the given shape.
func (t *tape) pseudo(k kind, w window, shape []int64, inputs ...string) string {
	return t.pseudoTo(k, w, t.name(string(k)), shape, inputs...).Output[0]
}

// pseudoTo is pseudo for an output whose name is given.
func (t *tape) pseudoTo(k kind, w window, out string, shape []int64, inputs ...string) *onnxpb.NodeProto {
	n := t.opTo(string(k), out, shape, inputs)
	t.pseudos[n] = pseudo{k, w}
	return n
}

// channelSum adds over every axis but the second: [channels].
func (t *tape) channelSum(x string) string {
	return t.pseudo(channelSum, window{}, t.shape[x][1:2], x)
}

// affine is a*x+b with one a and, unless it is "", one b a channel.
func (t *tape) affine(x, a, b string) string {
	if b == "" {
		return t.pseudo(affine, window{}, t.shape[x], x, a)
	}
	return t.pseudo(affine, window{}, t.shape[x], x, a, b)
}
