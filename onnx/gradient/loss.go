package gradient

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/gradient/tape"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// Names that WithCrossEntropy and WithBinaryCrossEntropy add to a model.
const (
	Labels         = "labels"          // input: int64 [N], or float32 [N, classes] for the binary loss
	ClassWeights   = "class_weights"   // input: float32 [classes], ones for none
	LabelSmoothing = "label_smoothing" // input: float32 [], 0 to 1
	LossScale      = "loss_scale"      // input: float32 [], 1 or this batch's share of a larger one
	Loss           = "loss"            // output: float32 [1], the mean, not scaled
	Objective      = "objective"       // tensor: loss*loss_scale, what is differentiated
)

// WithCrossEntropy returns m with the mean cross-entropy of output logits
// [N, classes] and its inputs Labels, ClassWeights, LabelSmoothing, LossScale:
//
//	soft = (1-smoothing)*onehot(labels) + smoothing/classes
//	loss = -sum(weights*soft*logsoftmax(logits)) / sum(weights[labels])
//
// Source: PyTorch's CrossEntropyLoss, with the same numbers.
func WithCrossEntropy(m *graph.Model, logits string) (*graph.Model, error) {
	l, err := newLoss(m, logits)
	if err != nil {
		return nil, err
	}
	t, pair := l.Tape, []int64{-1, l.classes}
	l.input(Labels, graph.Int64, -1)
	hot := t.Op("OneHot", pair, []string{Labels, t.Ints(l.classes), t.Floats([]int64{2}, []float32{0, 1})})
	keep := t.Sub(t.Scalar(1), LabelSmoothing)
	soft := t.Mul(t.Add(t.Mul(hot, keep), t.Div(LabelSmoothing, t.Scalar(float32(l.classes)))), ClassWeights)
	logp := t.Op("LogSoftmax", pair, []string{logits}, graph.Int("axis", 1))
	norm := t.Sum(t.Op("Gather", []int64{-1}, []string{ClassWeights, Labels}), 0)
	return l.finish(t.Div(t.Unary("Neg", t.Sum(t.Mul(logp, soft), 0, 1)), norm)), nil
}

// WithBinaryCrossEntropy returns m with the mean binary cross-entropy over all classes,
// for images with several labels; Labels is float32 [N, classes]:
//
//	soft = (1-smoothing)*labels + smoothing/2
//	loss = mean(weights*(softplus(logits) - soft*logits))
//
// Source: PyTorch's BCEWithLogitsLoss, with the same numbers.
func WithBinaryCrossEntropy(m *graph.Model, logits string) (*graph.Model, error) {
	l, err := newLoss(m, logits)
	if err != nil {
		return nil, err
	}
	t := l.Tape
	l.input(Labels, graph.Float32, -1, l.classes)
	keep := t.Sub(t.Scalar(1), LabelSmoothing)
	soft := t.Add(t.Mul(Labels, keep), t.Mul(LabelSmoothing, t.Scalar(0.5)))
	each := t.Mul(t.Sub(t.Unary("Softplus", logits), t.Mul(logits, soft)), ClassWeights)
	return l.finish(t.Op("ReduceMean", []int64{}, []string{each}, graph.Int("keepdims", 0))), nil
}

// lossBuild adds nodes to a copy of a model.
type lossBuild struct {
	*tape.Tape
	m       *graph.Model
	classes int64
}

func newLoss(m *graph.Model, logits string) (*lossBuild, error) {
	shapes, err := shape.Shapes(m, nil)
	if err != nil {
		return nil, err
	}
	s := shapes[logits]
	if len(s) != 2 || s[1] < 1 {
		return nil, failure.Data(fmt.Errorf("onnx: %s: logits %q have shape %v; a loss needs [batch, classes]",
			m.Graph.GetName(), logits, s))
	}
	g := proto.Clone(m.ModelProto).(*onnxpb.ModelProto)
	l := &lossBuild{Tape: tape.New(shapes), m: &graph.Model{ModelProto: g, Path: m.Path}, classes: s[1]}
	l.input(ClassWeights, graph.Float32, s[1])
	l.input(LabelSmoothing, graph.Float32)
	l.input(LossScale, graph.Float32)
	return l, nil
}

func (l *lossBuild) input(name string, elem int32, shape ...int64) {
	shape = append([]int64{}, shape...) // a scalar's is empty, not nil
	l.Shape[name], l.Used[name] = shape, true
	l.m.Graph.Input = append(l.m.Graph.Input, graph.ValueInfo(name, elem, shape))
}

func (l *lossBuild) finish(loss string) *graph.Model {
	l.OpTo("Reshape", Loss, []int64{1}, []string{loss, l.Ints(1)}) // a vector of one: easier to bind than a scalar
	l.OpTo("Mul", Objective, []int64{1}, []string{Loss, LossScale})
	for _, n := range l.Nodes { // so that shape inference need not know the operators
		out := n.Output[0]
		l.m.Graph.ValueInfo = append(l.m.Graph.ValueInfo, graph.ValueInfo(out, graph.Float32, l.Shape[out]))
	}
	l.m.Graph.Node = append(slices.Clip(l.m.Graph.Node), l.Nodes...)
	l.m.Graph.Initializer = append(slices.Clip(l.m.Graph.Initializer), l.Consts...)
	l.m.Graph.Output = append(slices.Clip(l.m.Graph.Output), graph.ValueInfo(Loss, graph.Float32, []int64{1}))
	return l.m
}
