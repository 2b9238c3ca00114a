package graph

import (
	"slices"

	"finetune/onnx/graph/onnxpb"
)

// rules maps an operator to its rule. Operators of image networks are here;
// one that is missing gives unknown shapes. Those
// that share a rule are added by init.
var rules = map[string]rule{
	"Conv": convRule, "FusedConv": convRule, "ConvTranspose": convTransposeRule,
	"MaxPool": poolRule, "AveragePool": poolRule, "LpPool": poolRule,
	"GlobalAveragePool": globalPoolRule, "GlobalMaxPool": globalPoolRule, "GlobalLpPool": globalPoolRule,
	"ReduceMean": reduceRule, "ReduceMax": reduceRule, "ReduceMin": reduceRule, "ReduceSum": reduceRule,
	"ReduceProd": reduceRule, "ReduceL1": reduceRule, "ReduceL2": reduceRule, "ReduceSumSquare": reduceRule,
	"Gemm": gemmRule, "MatMul": matMulRule,
	"Concat": concatRule, "Split": splitRule, "Slice": sliceRule, "Gather": gatherRule, "Pad": padRule,
	"Reshape": reshapeRule, "Flatten": flattenRule, "Transpose": transposeRule,
	"Squeeze": squeezeRule, "Unsqueeze": unsqueezeRule, "Expand": expandRule,
	"Shape": shapeRule, "Constant": constantRule, "ConstantOfShape": constantOfShapeRule,
	"DepthToSpace": depthToSpaceRule, "SpaceToDepth": spaceToDepthRule,
}

func init() {
	rules["If"] = ifRule // runs rules itself
	for _, op := range []string{
		"Abs", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "DequantizeLinear", "Dropout", "Elu", "Erf", "Exp",
		"Floor", "Gelu", "GroupNormalization", "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization",
		"LRN", "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "Mish", "Neg", "Not", "PRelu",
		"QuantizeLinear", "QuickGelu", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softmax", "Softplus",
		"Softsign", "Sqrt", "Swish", "Tanh", "ThresholdedRelu", "Trilu",
	} {
		rules[op] = sameRule
	}
	for _, op := range []string{
		"Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod",
		"Mul", "Or", "Pow", "Sub", "Sum", "Where", "Xor",
	} {
		rules[op] = broadcastRule
	}
}

// window describes a convolution or pooling over the spatial axes.
type window struct {
	kernel, strides, dilations, pads []int64 // pads: begins, then ends
	auto                             string
	ceil                             bool
}

func newWindow(n *onnxpb.NodeProto, kernel []int64) (window, bool) {
	r := len(kernel)
	w := window{
		kernel:    kernel,
		strides:   FindInts(n, "strides", slices.Repeat([]int64{1}, r)...),
		dilations: FindInts(n, "dilations", slices.Repeat([]int64{1}, r)...),
		pads:      FindInts(n, "pads", make([]int64, 2*r)...),
		auto:      FindStr(n, "auto_pad", "NOTSET"),
		ceil:      FindInt(n, "ceil_mode", 0) != 0,
	}
	ok := len(w.strides) == r && len(w.dilations) == r && len(w.pads) == 2*r && r > 0
	for _, list := range [][]int64{w.strides, w.dilations, w.kernel} {
		for _, v := range list {
			ok = ok && v > 0 && v < 1<<20
		}
	}
	for _, v := range w.pads {
		ok = ok && v > -1<<20 && v < 1<<20
	}
	return w, ok
}

// spatial is the output size along spatial axis i of an input of size d.
func (w window) spatial(i int, d int64) int64 {
	if d < 0 {
		return -1
	}
	stride, reach := w.strides[i], (w.kernel[i]-1)*w.dilations[i]+1
	begin, end := w.pads[i], w.pads[len(w.kernel)+i]
	switch w.auto {
	case "SAME_UPPER", "SAME_LOWER":
		return (d + stride - 1) / stride
	case "VALID":
		begin, end = 0, 0
	}
	free := d + begin + end - reach
	if free < 0 {
		return -1
	}
	out := free/stride + 1
	if w.ceil && free%stride != 0 && out*stride < d+begin { // no window may start in the end padding
		out++
	}
	return out
}

// windowed is the output shape for x [N, C, spatial...] with c output channels.
func (w window) windowed(x []int64, c int64) []int64 {
	out := []int64{x[0], c}
	for i, d := range x[2:] {
		out = append(out, w.spatial(i, d))
	}
	return out
}

func convRule(s *inferer, n *onnxpb.NodeProto) {
	x, f := s.in(n, 0), s.in(n, 1)
	if len(f) < 3 {
		return
	}
	if x == nil {
		x = slices.Repeat([]int64{-1}, len(f))
	}
	w, ok := newWindow(n, FindInts(n, "kernel_shape", f[2:]...))
	if !ok || len(x) != len(f) || len(w.kernel) != len(x)-2 {
		return
	}
	s.out(n, 0, w.windowed(x, f[0]))
}

func convTransposeRule(s *inferer, n *onnxpb.NodeProto) {
	x, f := s.in(n, 0), s.in(n, 1)
	if len(f) < 3 || len(x) != len(f) {
		return
	}
	w, ok := newWindow(n, FindInts(n, "kernel_shape", f[2:]...))
	r := len(x) - 2
	extra := FindInts(n, "output_padding", make([]int64, r)...)
	if !ok || len(w.kernel) != r || len(extra) != r {
		return
	}
	channels := int64(-1)
	if f[1] > 0 {
		channels = f[1] * FindInt(n, "group", 1)
	}
	out := []int64{x[0], channels}
	want := FindInts(n, "output_shape")
	for i, d := range x[2:] {
		size := int64(-1)
		switch {
		case len(want) == r:
			size = want[i]
		case d < 0 || w.auto != "NOTSET":
		default:
			size = (d-1)*w.strides[i] + extra[i] + (w.kernel[i]-1)*w.dilations[i] + 1 - w.pads[i] - w.pads[r+i]
		}
		out = append(out, size)
	}
	s.out(n, 0, out)
}

func poolRule(s *inferer, n *onnxpb.NodeProto) {
	x := s.in(n, 0)
	w, ok := newWindow(n, FindInts(n, "kernel_shape"))
	if !ok || len(x) != len(w.kernel)+2 {
		return
	}
	out := w.windowed(x, x[1])
	s.out(n, 0, out)
	s.out(n, 1, out)
}

func globalPoolRule(s *inferer, n *onnxpb.NodeProto) {
	x := s.in(n, 0)
	if len(x) < 3 {
		return
	}
	out := slices.Repeat([]int64{1}, len(x))
	out[0], out[1] = x[0], x[1]
	s.out(n, 0, out)
}

// reduceAxes is the set of axes a Reduce node reduces; false if unknown.
func (s *inferer) reduceAxes(n *onnxpb.NodeProto, rank int) (map[int]bool, bool) {
	axes := s.list(n, "axes", 1)
	if axes == nil && len(n.Input) > 1 && n.Input[1] != "" && s.ints[n.Input[1]] == nil {
		return nil, false
	}
	set := map[int]bool{}
	for _, a := range axes {
		i, ok := axisOf(a, rank)
		if !ok {
			return nil, false
		}
		set[i] = true
	}
	if len(axes) == 0 && FindInt(n, "noop_with_empty_axes", 0) == 0 {
		for i := range rank {
			set[i] = true
		}
	}
	return set, true
}

func reduceRule(s *inferer, n *onnxpb.NodeProto) {
	x := s.in(n, 0)
	if x == nil {
		return
	}
	axes, ok := s.reduceAxes(n, len(x))
	if !ok {
		return
	}
	keep := FindInt(n, "keepdims", 1) != 0
	out := []int64{}
	for i, d := range x {
		switch {
		case !axes[i]:
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	s.out(n, 0, out)
}
