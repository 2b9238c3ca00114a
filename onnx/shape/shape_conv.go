package shape

import (
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// rules maps an operator to its rule. Operators of image networks are here;
// one that is missing gives unknown shapes.
var rules = map[graph.Op]rule{}

// onnxRules are those of ONNX's own operators that share no rule with many.
var onnxRules = map[string]rule{
	"Conv": convRule, "ConvTranspose": convTransposeRule,
	"MaxPool": poolRule, "AveragePool": poolRule, "LpPool": poolRule,
	"GlobalAveragePool": globalPoolRule, "GlobalMaxPool": globalPoolRule, "GlobalLpPool": globalPoolRule,
	"ReduceMean": reduceRule, "ReduceMax": reduceRule, "ReduceMin": reduceRule, "ReduceSum": reduceRule,
	"ReduceProd": reduceRule, "ReduceL1": reduceRule, "ReduceL2": reduceRule, "ReduceSumSquare": reduceRule,
	"Gemm": gemmRule, "MatMul": matMulRule,
	"BatchNormalization": batchNormRule, "Dropout": dropoutRule, "LayerNormalization": normRule,
	"Concat": concatRule, "Split": splitRule, "Slice": sliceRule, "Pad": padRule,
	"Gather": gatherRule, "GatherND": gatherNDRule,
	"Reshape": reshapeRule, "Flatten": flattenRule, "Transpose": transposeRule,
	"Squeeze": squeezeRule, "Unsqueeze": unsqueezeRule, "Expand": expandRule,
	"ArgMax": argRule, "ArgMin": argRule, "GatherElements": placesRule, "DynamicQuantizeLinear": dynamicRule,
	"MatMulInteger": matMulRule, "ConvInteger": convRule, "QLinearConv": qConvRule, "QLinearMatMul": qMatMulRule,
	"ReduceLogSum": reduceRule, "ReduceLogSumExp": reduceRule,
	"Shape": shapeRule, "Size": sizeRule, "Range": rangeRule, "Tile": tileRule,
	"Resize": resizeRule, "Upsample": resizeRule,
	"Constant": constantRule, "ConstantOfShape": constantOfShapeRule,
	"DepthToSpace": depthToSpaceRule, "SpaceToDepth": spaceToDepthRule,
}

func init() {
	for op, r := range onnxRules {
		graph.OpsNamed(rules, "", r, op)
	}
	graph.OpsNamed(rules, "", ifRule, "If") // runs rules itself
	graph.OpsNamed(rules, graph.Contrib, convRule, "FusedConv")
	graph.OpsNamed(rules, graph.Contrib, sameRule, "BiasGelu", "DequantizeLinear", "FastGelu", "Gelu", "QuantizeLinear",
		"QuickGelu", "SkipLayerNormalization", "Trilu")
	graph.OpsNamed(rules, graph.Contrib, padRule, "Pad")
	graph.OpsNamed(rules, "", sameRule,
		"Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Bernoulli", "BitwiseNot", "Cast", "CastLike", "Ceil",
		"Celu",
		"CumProd", "CumSum", "EyeLike", "MeanVarianceNormalization", "RMSNormalization", "RandomNormalLike",
		"RandomUniformLike", "ReverseSequence", "RotaryEmbedding", "Scatter", "ScatterElements", "ScatterND", "Shrink",
		"TensorScatter",
		"Clip", "Cos", "Cosh", "DequantizeLinear", "Elu", "Erf", "Exp", "Floor", "Gelu",
		"GroupNormalization", "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization", "IsInf",
		"IsNaN", "LRN", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "Mish", "Neg",
		"Not", "PRelu", "QuantizeLinear", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh",
		"Softmax", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Trilu")
	graph.OpsNamed(rules, "", broadcastRule,
		"Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater",
		"GreaterOrEqual", "Less", "LessOrEqual",
		"Max", "Mean", "Min", "Mod",
		"Mul", "Or", "Pow", "Sub", "Sum", "Where", "Xor")
}

// windowed is the output shape for x [N, C, spatial...] with c output channels.
func windowed(w graph.Window, x []int64, c int64) []int64 {
	out := []int64{x[0], c}
	for i, d := range x[2:] {
		out = append(out, w.Out(i, d))
	}
	return out
}

func convRule(s *Inferer, n *onnxpb.NodeProto) {
	x, f := s.In(n, 0), s.In(n, 1)
	if len(f) < 3 {
		return
	}
	if x == nil {
		x = slices.Repeat([]int64{-1}, len(f))
	}
	w, err := graph.WindowOf(n, f[2:])
	if err != nil || len(x) != len(f) || len(w.Kernel) != len(x)-2 {
		return
	}
	s.out(n, 0, windowed(w, x, f[0]))
}

func convTransposeRule(s *Inferer, n *onnxpb.NodeProto) {
	x, f := s.In(n, 0), s.In(n, 1)
	if len(f) < 3 || len(x) != len(f) {
		return
	}
	w, err := graph.WindowOf(n, f[2:])
	r := len(x) - 2
	extra := graph.FindInts(n, "output_padding", make([]int64, r)...)
	if err != nil || len(w.Kernel) != r || len(extra) != r {
		return
	}
	out := []int64{x[0], f[1] * w.Group} // below 0, and so unknown, where f[1] is
	want := graph.FindInts(n, "output_shape")
	for i, d := range x[2:] {
		size := int64(-1)
		switch {
		case len(want) == r:
			size = want[i]
		case d < 0 || w.Auto != "NOTSET":
		default:
			size = w.Reach(i, d) + extra[i] - w.Pads[i] - w.Pads[r+i]
		}
		out = append(out, size)
	}
	s.out(n, 0, out)
}

func poolRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	w, err := graph.WindowOf(n, nil)
	if err != nil || len(x) != len(w.Kernel)+2 {
		return
	}
	out := windowed(w, x, x[1])
	s.out(n, 0, out)
	s.out(n, 1, out)
}

func globalPoolRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	if len(x) < 3 {
		return
	}
	out := slices.Repeat([]int64{1}, len(x))
	out[0], out[1] = x[0], x[1]
	s.out(n, 0, out)
}

// ReduceAxes are the axes that a Reduce node reduces, in order; false if unknown.
func (s *Inferer) ReduceAxes(n *onnxpb.NodeProto, rank int) ([]int, bool) {
	axes := s.list(n, "axes", 1)
	if axes == nil && len(n.Input) > 1 && n.Input[1] != "" && s.ints[n.Input[1]] == nil {
		return nil, false
	}
	var list []int
	for _, a := range axes {
		i, ok := axisOf(a, rank)
		if !ok {
			return nil, false
		}
		list = append(list, i)
	}
	if len(axes) == 0 && graph.FindInt(n, "noop_with_empty_axes", 0) == 0 {
		for i := range rank {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), true
}

func reduceRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	if x == nil {
		return
	}
	axes, ok := s.ReduceAxes(n, len(x))
	keep := graph.FindInt(n, "keepdims", 1) != 0
	if !ok {
		s.reducedOpen(n, x, keep)
		return
	}
	out := []int64{}
	for i, d := range x {
		switch {
		case !slices.Contains(axes, i):
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	s.out(n, 0, out)
}

// reducedOpen is reduceRule where only the run knows the axes, of which there may be none.
func (s *Inferer) reducedOpen(n *onnxpb.NodeProto, x []int64, keep bool) {
	count := s.listed(n, 1)
	switch {
	case s.list(n, "axes", 1) != nil: // an axis that x has not
	case count == 0 && graph.FindInt(n, "noop_with_empty_axes", 0) != 0:
		s.out(n, 0, x)
	case keep:
		s.ofRank(n, int64(len(x)))
	case count == 0:
		s.out(n, 0, []int64{})
	case count > 0:
		s.ofRank(n, int64(len(x))-count)
	}
}

// normRule: of a LayerNormalization, mean and deviation have a 1 for each axis that is normalised.
func normRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	s.out(n, 0, x)
	axis, ok := axisOf(graph.FindInt(n, "axis", -1), len(x))
	if !ok {
		return
	}
	over := slices.Clone(x)
	for i := axis; i < len(over); i++ {
		over[i] = 1
	}
	s.out(n, 1, over)
	s.out(n, 2, over)
}

// dropoutRule: the mask has the shape of what is dropped.
func dropoutRule(s *Inferer, n *onnxpb.NodeProto) {
	s.out(n, 0, s.In(n, 0))
	s.out(n, 1, s.In(n, 0))
}

// batchNormRule: the statistics that follow the map have a number a channel.
func batchNormRule(s *Inferer, n *onnxpb.NodeProto) {
	s.out(n, 0, s.In(n, 0))
	for i := 1; i < len(n.Output); i++ {
		s.out(n, i, s.In(n, 3+(i-1)%2))
	}
}

// argRule: one place of each row along an axis.
func argRule(s *Inferer, n *onnxpb.NodeProto) {
	x := s.In(n, 0)
	axis, ok := axisOf(graph.FindInt(n, "axis", 0), len(x))
	switch {
	case !ok:
	case graph.FindInt(n, "keepdims", 1) != 0:
		s.out(n, 0, slices.Concat(x[:axis], []int64{1}, x[axis+1:]))
	default:
		s.out(n, 0, slices.Concat(x[:axis], x[axis+1:]))
	}
}

// placesRule: an element for each place.
func placesRule(s *Inferer, n *onnxpb.NodeProto) { s.out(n, 0, s.In(n, 1)) }

// dynamicRule: beside the whole numbers, one scale and one zero for all of them.
func dynamicRule(s *Inferer, n *onnxpb.NodeProto) {
	s.out(n, 0, s.In(n, 0))
	s.out(n, 1, []int64{})
	s.out(n, 2, []int64{})
}

// qConvRule and qMatMulRule have a scale and a zero behind each operand.
func qConvRule(s *Inferer, n *onnxpb.NodeProto)   { convRule(s, withOperands(n, 0, 3)) }
func qMatMulRule(s *Inferer, n *onnxpb.NodeProto) { matMulRule(s, withOperands(n, 0, 3)) }

// withOperands is n with those two inputs alone.
func withOperands(n *onnxpb.NodeProto, a, b int) *onnxpb.NodeProto {
	if len(n.Input) <= max(a, b) {
		return &onnxpb.NodeProto{}
	}
	return &onnxpb.NodeProto{Input: []string{n.Input[a], n.Input[b]}, Output: n.Output, Attribute: n.Attribute}
}

// gatherNDRule: the last axis of the indices says how many axes of the data, behind the batch's, each of them takes.
func gatherNDRule(s *Inferer, n *onnxpb.NodeProto) {
	x, at, batch := s.In(n, 0), s.In(n, 1), graph.FindInt(n, "batch_dims", 0)
	if x == nil || len(at) == 0 {
		return
	}
	taken := at[len(at)-1]
	if batch < 0 || taken < 0 || batch >= int64(len(at)) || batch+taken > int64(len(x)) {
		return
	}
	s.out(n, 0, slices.Concat(at[:len(at)-1], x[batch+taken:]))
}
