package trainable

import (
	"slices"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// places are the inputs of each operator that hold weights.
var places = map[graph.Op][]int{}

// carriers pass weights on: they arrange, repeat or resample them, or keep them positive, one number each.
var carriers = map[string]bool{}

func init() {
	graph.OpsNamed(places, "", []int{1, 2}, "Conv", "ConvTranspose", "Gemm", "BatchNormalization", "InstanceNormalization",
		"LayerNormalization", "GroupNormalization")
	graph.OpsNamed(places, graph.Contrib, []int{1, 2}, "FusedConv")
	graph.OpsNamed(places, "", []int{1}, "PRelu")
	graph.OpsNamed(places, "", []int{0, 1}, "MatMul", "Add", "Mul")
	for _, op := range []string{"Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Tile",
		"Slice", "Split", "Concat", "Resize", "Gather", "GatherND", "Clip", "Min", "Exp"} {
		carriers[op] = true
	}
}

// weights knows which initializers reach a tensor through carriers alone, and what layers compute of weights alone.
type weights struct {
	*surgery.Flow
	carried map[string][]*onnxpb.TensorProto
	learned map[string]bool // of no photograph, but of layers: a position table that is computed
}

func newWeights(f *surgery.Flow) *weights {
	w := &weights{Flow: f, carried: map[string][]*onnxpb.TensorProto{}, learned: map[string]bool{}}
	for _, t := range f.Model.Graph.Initializer {
		float := graph.IsFloat(t.GetDataType()) && t.GetDataType() != int32(onnxpb.TensorProto_BFLOAT16)
		if float && dims.Product(t.Dims) > 1 {
			w.carried[t.GetName()] = []*onnxpb.TensorProto{t}
		}
	}
	for _, n := range f.Nodes {
		if len(n.Output) == 0 || f.Colours(n.Output[0]) {
			continue
		}
		op := f.Model.Op(n).Standard()
		var list []*onnxpb.TensorProto
		learned := op == "MatMul" || op == "Gemm"
		for i, in := range n.Input {
			learned = learned || w.learned[in]
			if carriers[op] && (i == 0 || op == "Concat") {
				list = append(list, w.carried[in]...)
			}
		}
		for _, out := range n.Output {
			w.carried[out], w.learned[out] = list, learned
		}
	}
	return w
}

// of lists the initializers that node n would train, also those that reach it through nodes that only pass them on.
// Batch statistics and single numbers are not trained; nor are constants: see isConstant. Class and register tokens,
// which are joined to those of the patches, are.
func (w *weights) of(n *onnxpb.NodeProto) []*onnxpb.TensorProto {
	op := w.Model.Op(n)
	inputs := places[op]
	if op.Standard() == "Concat" {
		for i := range n.Input {
			inputs = append(slices.Clip(inputs), i)
		}
	}
	var list []*onnxpb.TensorProto
	for _, i := range inputs {
		if i >= len(n.Input) {
			continue
		}
		for _, t := range w.carried[n.Input[i]] {
			if !w.isConstant(op.Standard(), n, i, t) && !slices.Contains(list, t) {
				list = append(list, t)
			}
		}
	}
	return list
}

// isConstant reports whether t, which reaches input i of n, is no weight:
//
//   - what is added to colours, or multiplies them, before the first layer: preprocessing
//   - what multiplies along more than one axis: the tables of rotary positions (a layer scale has one axis)
//   - what is added and holds nothing but 0 and large negative numbers: a mask of attention
//   - what is joined and is no row of tokens [1, tokens, channels]
//   - beside the way of the colours: what no layer made a table of, and the coordinates that a layer is given
func (w *weights) isConstant(op string, n *onnxpb.NodeProto, i int, t *onnxpb.TensorProto) bool {
	colours := w.Colours(n.Output[0])
	switch op {
	case "Add", "Mul":
		other := n.Input[min(1-i, len(n.Input)-1)]
		return w.Colours(other) && w.Layers(other) == 0 || !colours && !w.learned[other] ||
			op == "Mul" && wide(t) > 1 || op == "Add" && isMask(t)
	case "MatMul":
		return !colours && i == 0 && !isToken(t)
	case "Concat":
		return !colours || !isToken(t) || graph.FindInt(n, "axis", 0) != 1
	}
	return false
}

// wide is the number of axes along which t has more than one number.
func wide(t *onnxpb.TensorProto) int {
	count := 0
	for _, d := range t.Dims {
		if d > 1 {
			count++
		}
	}
	return count
}

// isToken reports whether t is tokens of every photograph, [1, tokens, channels].
func isToken(t *onnxpb.TensorProto) bool {
	const channels = 4 // coordinates have fewer
	return len(t.Dims) == 3 && t.Dims[0] == 1 && t.Dims[2] >= channels
}

// isMask reports whether t holds 0 and large negative numbers, and nothing else.
func isMask(t *onnxpb.TensorProto) bool {
	if len(t.Dims) < 2 {
		return false
	}
	values, err := graph.FloatsOf(t)
	return err == nil && !slices.ContainsFunc(values, func(v float32) bool { return v != 0 && v > -50 }) &&
		slices.ContainsFunc(values, func(v float32) bool { return v != 0 })
}

// WithoutDecay are the weights of m that no optimiser should pull to zero: scales and shifts of one axis, class and
// register tokens, tables of positions. Source: timm's param_groups_weight_decay and its networks' no_weight_decay.
func WithoutDecay(m *graph.Model) ([]string, error) {
	f, err := surgery.FlowOf(m)
	if err != nil {
		return nil, err
	}
	w := newWeights(f)
	var list []string
	for _, n := range f.Nodes {
		op := f.Model.Op(n).Standard()
		for _, t := range w.of(n) {
			name := t.GetName()
			if (wide(t) <= 1 || op == "Add" || op == "Concat" || op == "Mul") && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list, nil
}
