package gradient

import (
	"fmt"
	"math"
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// rules says how each operator is differentiated. BatchNormalization and
// Dropout are rewritten beforehand; see forward.
var rules map[graph.Op]rule

func init() { // not a literal: rules mention the walk, which mentions rules
	rules = map[graph.Op]rule{{Domain: "com.microsoft", Name: "Gelu"}: geluRule}
	for name, r := range map[string]rule{
		"Abs":                unaryRule(func(b *build, dy, x, _ string) string { return b.Mul(dy, b.Unary("Sign", x)) }),
		"Add":                addRule,
		"AveragePool":        averagePoolRule,
		"Cast":               castRule,
		"Clip":               clipRule,
		"Concat":             concatRule,
		"Conv":               convRule,
		"Div":                divRule,
		"Elu":                eluRule,
		"Erf":                unaryRule(erfGradient),
		"Exp":                unaryRule(func(b *build, dy, _, y string) string { return b.Mul(dy, y) }),
		"Expand":             func(b *build, n *onnxpb.NodeProto) ([]string, error) { return one(b.dy(n)) }, // the walk sums
		"Flatten":            viewRule,
		"Gather":             gatherRule,
		"GatherND":           gatherNDRule,
		"Gelu":               geluRule,
		"Gemm":               gemmRule,
		"GlobalAveragePool":  globalAveragePoolRule,
		"HardSigmoid":        hardSigmoidRule,
		"HardSwish":          unaryRule(hardSwishGradient),
		"Identity":           unaryRule(func(_ *build, dy, _, _ string) string { return dy }),
		"LayerNormalization": layerNormRule,
		"LeakyRelu":          leakyReluRule,
		"Log":                unaryRule(func(b *build, dy, x, _ string) string { return b.Div(dy, x) }),
		"LogSoftmax":         logSoftmaxRule,
		"MatMul":             matMulRule,
		"MaxPool":            maxPoolRule,
		"Mul":                mulRule,
		"Neg":                unaryRule(func(b *build, dy, _, _ string) string { return b.Unary("Neg", dy) }),
		"Pad":                padRule,
		"Pow":                powRule,
		"ReduceMax":          extremeRule,
		"ReduceMean":         reduceRule,
		"ReduceMin":          extremeRule,
		"ReduceSum":          reduceRule,
		"Relu":               unaryRule(func(b *build, dy, _, y string) string { return b.Mul(dy, b.positive(y)) }),
		"Reshape":            viewRule,
		"Resize":             resizeRule,
		"Sigmoid":            unaryRule(sigmoidGradient),
		"Slice":              sliceRule,
		"Softmax":            softmaxRule,
		"Softplus":           unaryRule(func(b *build, dy, x, _ string) string { return b.Mul(dy, b.Unary("Sigmoid", x)) }),
		"Split":              splitRule,
		"Sqrt":               unaryRule(func(b *build, dy, _, y string) string { return b.Div(b.Mul(dy, b.Scalar(0.5)), y) }),
		"Squeeze":            viewRule,
		"Sub":                subRule,
		"Tanh":               unaryRule(tanhGradient),
		"Tile":               tileRule,
		"Transpose":          transposeRule,
		"Unsqueeze":          viewRule,
		"Where":              whereRule,
	} {
		rules[graph.Op{Name: name}] = r
	}
}

// one is what a rule returns that has the derivative of the first input alone.
func one(dx string) ([]string, error) { return []string{dx}, nil }

// unaryRule is the rule of a function of one tensor: dx from dy, x and y.
func unaryRule(dx func(b *build, dy, x, y string) string) rule {
	return func(b *build, n *onnxpb.NodeProto) ([]string, error) {
		return one(dx(b, b.dy(n), n.Input[0], n.Output[0]))
	}
}

// stepSlope turns HardSigmoid into a step: min(1, max(0, stepSlope*x + offset)) is 0
// or 1 except within 1e-30 of the step. It is the fastest mask on ORT's CPU: one
// vectorised pass, where Sign, Where and Cast run on one thread. Multiplication by a
// power of two is exact.
var stepSlope = float32(math.Ldexp(1, 100))

// positive is 1 where x > 0, else 0.
func (b *build) positive(x string) string {
	return b.Unary("HardSigmoid", x, graph.Float("alpha", stepSlope), graph.Float("beta", 0))
}

// above and below are 1 where x > limit and x < limit.
func (b *build) above(x string, limit float32) string {
	return b.Unary("HardSigmoid", x, graph.Float("alpha", stepSlope), graph.Float("beta", -stepSlope*limit))
}

func (b *build) below(x string, limit float32) string {
	return b.Unary("HardSigmoid", x, graph.Float("alpha", -stepSlope), graph.Float("beta", stepSlope*limit))
}

func addRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	dy := b.dy(n)
	return []string{dy, dy}, nil
}

func subRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	dy := b.dy(n)
	return []string{dy, b.Unary("Neg", dy)}, nil
}

func mulRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	dy := b.dy(n)
	return []string{b.Mul(dy, n.Input[1]), b.Mul(dy, n.Input[0])}, nil
}

// divRule: the divisor's derivative is -dy*y/divisor.
func divRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	over := b.Div(b.dy(n), n.Input[1])
	return []string{over, b.Unary("Neg", b.Mul(over, n.Output[0]))}, nil
}

// powRule: y = x^e for a constant e, dx = dy*e*x^(e-1). Where e is 0 so is the derivative, at 0 too.
func powRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, e := n.Input[0], n.Input[1]
	powers := b.constantFloats(e)
	for _, whole := range b.constantInts(e) {
		if b.constantFloats(e) == nil {
			powers = append(powers, float32(whole))
		}
	}
	if powers == nil {
		return nil, fmt.Errorf("exponent %q is computed; only constant ones have a rule", e)
	}
	less := slices.Clone(powers)
	for i := range less {
		if less[i] != 0 {
			less[i]--
		}
	}
	shape := b.Shape[e]
	slope := b.Op("Pow", b.Shape[n.Output[0]], []string{x, b.Floats(shape, less)})
	return one(b.Mul(b.dy(n), b.Mul(slope, b.Floats(shape, powers))))
}

func sigmoidGradient(b *build, dy, _, y string) string {
	return b.Mul(b.Mul(dy, y), b.Add(b.Unary("Neg", y), b.Scalar(1)))
}

func tanhGradient(b *build, dy, _, y string) string {
	return b.Mul(dy, b.Add(b.Unary("Neg", b.Mul(y, y)), b.Scalar(1)))
}

// erfGradient: dx = dy*2/sqrt(pi)*exp(-x^2).
func erfGradient(b *build, dy, x, _ string) string {
	bell := b.Unary("Exp", b.Unary("Neg", b.Mul(x, x)))
	return b.Mul(dy, b.Mul(bell, b.Scalar(float32(2/math.Sqrt(math.Pi)))))
}

// geluRule: y = x*P, P = (1 + erf(x/sqrt(2)))/2, dx = dy*(P + x*exp(-x^2/2)/sqrt(2*pi)).
func geluRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	if form := graph.FindStr(n, "approximate", "none"); form != "none" {
		return nil, fmt.Errorf("approximation %q; only the exact form has a rule", form)
	}
	x := n.Input[0]
	below := b.Mul(b.Add(b.Unary("Erf", b.Mul(x, b.Scalar(math.Sqrt2/2))), b.Scalar(1)), b.Scalar(0.5))
	bell := b.Mul(b.Unary("Exp", b.Mul(b.Mul(x, x), b.Scalar(-0.5))), b.Scalar(float32(1/math.Sqrt(2*math.Pi))))
	return one(b.Mul(b.dy(n), b.Add(below, b.Mul(x, bell))))
}

func leakyReluRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	alpha := graph.FindFloat(n, "alpha", 0.01)
	slope := b.Add(b.Mul(b.positive(n.Input[0]), b.Scalar(1-alpha)), b.Scalar(alpha))
	return one(b.Mul(b.dy(n), slope))
}

// eluRule: y = x where x > 0, else alpha*(exp(x) - 1); dx = dy where x > 0, else dy*(y + alpha).
func eluRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, y, alpha := n.Input[0], n.Output[0], graph.FindFloat(n, "alpha", 1)
	right := b.positive(x)
	left := b.Mul(b.Add(b.Unary("Neg", right), b.Scalar(1)), b.Add(y, b.Scalar(alpha)))
	return one(b.Mul(b.dy(n), b.Add(right, left)))
}

// castRule is that of a Cast from float32 to float32, as exporters write it; forward has no other to differentiate.
func castRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	if to := graph.FindInt(n, "to", 0); to != int64(graph.Float32) {
		return nil, fmt.Errorf("to type %d; only float32 has a rule", to)
	}
	return one(b.dy(n))
}

// clipRule lets the gradient through strictly between the limits, as PyTorch's
// hardtanh and relu6 do.
func clipRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	dx, y := b.dy(n), n.Output[0]
	for i, mask := range []func(string, float32) string{b.above, b.below} {
		if len(n.Input) <= i+1 || n.Input[i+1] == "" {
			continue
		}
		limit := b.constantFloats(n.Input[i+1])
		if len(limit) != 1 {
			return nil, fmt.Errorf("limit %q is not a constant; only constant limits have a rule", n.Input[i+1])
		}
		dx = b.Mul(dx, mask(y, limit[0]))
	}
	return one(dx)
}

// hardSigmoidRule: y = min(1, max(0, alpha*x + beta)).
func hardSigmoidRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	y := n.Output[0]
	slope := b.Mul(b.dy(n), b.Scalar(graph.FindFloat(n, "alpha", 0.2)))
	return one(b.Mul(b.Mul(slope, b.above(y, 0)), b.below(y, 1)))
}

// hardSwishGradient: y = x*h, h = min(1, max(0, x/6 + 1/2)); dx = dy*(h + x/6 where 0 < h < 1).
func hardSwishGradient(b *build, dy, x, _ string) string {
	h := b.Unary("HardSigmoid", x, graph.Float("alpha", 1.0/6), graph.Float("beta", 0.5))
	inside := b.Mul(b.above(h, 0), b.below(h, 1))
	return b.Mul(dy, b.Add(h, b.Mul(b.Mul(x, b.Scalar(1.0/6)), inside)))
}

// whereRule gives each side the derivative where it was chosen; a product with a mask would spread what is no number.
func whereRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	dy, zero := b.dy(n), b.Scalar(0)
	shape := b.Shape[dy]
	return []string{"", b.Op("Where", shape, []string{n.Input[0], dy, zero}),
		b.Op("Where", shape, []string{n.Input[0], zero, dy})}, nil
}

// softmaxRule: dx = y*(dy - sum(dy*y)).
func softmaxRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	dy, y := b.dy(n), n.Output[0]
	return one(b.Mul(y, b.Sub(dy, b.sumKeep(b.Mul(dy, y), graph.FindInt(n, "axis", -1)))))
}

// logSoftmaxRule: dx = dy - exp(y)*sum(dy).
func logSoftmaxRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	dy := b.dy(n)
	return one(b.Sub(dy, b.Mul(b.Unary("Exp", n.Output[0]), b.sumKeep(dy, graph.FindInt(n, "axis", -1)))))
}

// sumKeep adds over one axis and keeps it with size 1.
func (b *build) sumKeep(x string, axis int64) string {
	shape := slices.Clone(b.Shape[x])
	shape[b.Axis(x, axis)] = 1
	return b.Op("ReduceSum", shape, []string{x, b.Ints(axis)}, graph.Int("keepdims", 1))
}
