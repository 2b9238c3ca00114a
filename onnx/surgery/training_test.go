package surgery_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// boolean is a constant for Dropout's third input.
func boolean(name string, v byte) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: proto.String(name), DataType: elem(graph.Bool), RawData: []byte{v}}
}

// around is a model that makes the output of build from an image.
func around(opset int64, build func(b *graph.Builder, x string) string) *graph.Model {
	b := graph.NewBuilder("mode", opset)
	x := b.Input("image", graph.Float32, "N", 3, 8, 8)
	for _, n := range []string{"scale", "bias", "mean", "var"} {
		b.Init(n, []int64{3}, []float32{1, 1, 1})
	}
	b.Init("half", nil, []float32{0.5})
	b.Init("none", nil, []float32{0})
	b.InitTensor(boolean("on", 1))
	b.InitTensor(boolean("off", 0))
	b.Output(build(b, x), graph.Float32)
	return b.Model()
}

func TestCheckInference(t *testing.T) {
	norm := func(attrs ...graph.Attr) func(*graph.Builder, string) string {
		return func(b *graph.Builder, x string) string {
			return b.Node("BatchNormalization", "y", []string{x, "scale", "bias", "mean", "var"}, attrs...)
		}
	}
	outputs := func(names ...string) func(*graph.Builder, string) string {
		return func(b *graph.Builder, x string) string {
			b.NodeN("BatchNormalization", []string{x, "scale", "bias", "mean", "var"}, append([]string{"y"}, names...))
			return "y"
		}
	}
	drop := func(more ...string) func(*graph.Builder, string) string {
		return func(b *graph.Builder, x string) string { return b.Node("Dropout", "y", append([]string{x}, more...)) }
	}
	mode := func(op string, attrs ...graph.Attr) func(*graph.Builder, string) string {
		return func(b *graph.Builder, x string) string {
			return b.Node("Dropout", "y",
				[]string{x, "half", b.Node(op, "mode", map[bool][]string{true: {"off"}}[op != "Constant"], attrs...)})
		}
	}
	for name, c := range map[string]struct {
		opset int64
		build func(*graph.Builder, string) string
		want  string // in the error; "" for none
	}{
		"norm":                   {17, norm(), ""},
		"norm, mode 0":           {17, norm(graph.Int("training_mode", 0)), ""},
		"norm, mode 1":           {17, norm(graph.Int("training_mode", 1)), `"y" (BatchNormalization) is in training mode`},
		"norm, three outputs":    {15, outputs("m", "v"), "in training mode"},
		"norm, five outputs, 9":  {9, outputs("m", "v", "sm", "sv"), "in training mode"},
		"norm, outputs left out": {9, outputs("", ""), ""},
		"norm, second left out":  {9, outputs("", "v"), "in training mode"},
		"norm, 6":                {6, norm(), "is_test is not set"},
		"norm, 6, is_test":       {6, norm(graph.Int("is_test", 1)), ""},
		"instance norm": {17, func(b *graph.Builder, x string) string {
			return b.Node("InstanceNormalization", "y", []string{x, "scale", "bias"})
		}, ""},
		"dropout":                    {17, drop(), ""},
		"dropout, ratio alone":       {17, drop("half"), ""},
		"dropout, off":               {17, drop("half", "off"), ""},
		"dropout, on":                {17, drop("half", "on"), `"y" (Dropout) is in training mode`},
		"dropout, on, default ratio": {12, drop("", "on"), "in training mode"},
		"dropout, on, drops nothing": {17, drop("none", "on"), ""},
		"dropout, 10":                {10, drop(), ""},
		"dropout, 6":                 {6, drop(), "is_test is not set"},
		"dropout, not off":           {17, mode("Not"), "in training mode"},
		"dropout, not of an input": {17, func(b *graph.Builder, x string) string {
			return drop("half", b.Node("Not", "", []string{b.Input("train", graph.Bool)}))(b, x)
		}, "may be in training mode"},
		"dropout, not off, twice": {17, func(b *graph.Builder, x string) string {
			return drop("half", b.Node("Not", "", []string{b.Node("Not", "", []string{"off"})}))(b, x)
		}, ""},
		"dropout, same as off":  {17, mode("Identity"), ""},
		"dropout, constant on":  {17, mode("Constant", graph.Tensor("value", boolean("", 1))), "in training mode"},
		"dropout, constant off": {17, mode("Constant", graph.Tensor("value", boolean("", 0))), ""},
		"dropout, computed":     {17, mode("NonZero"), "may be in training mode"},
		"random": {17,
			func(b *graph.Builder, x string) string {
				return b.Node("RandomUniformLike", "y",
					[]string{x})
			}, "draws random numbers"},
		"another domain's own matter": {17,
			func(b *graph.Builder, x string) string { return b.Node("mine.Dropout", "y", []string{x, "half", "on"}) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := surgery.CheckInference(around(c.opset, c.build))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && failure.KindOf(err) != failure.DataKind {
				t.Errorf("%v is of kind %d", err, failure.KindOf(err))
			}
		})
	}
}

// Nodes inside branches and functions run too; what a caller passes decides.
func TestCheckInferenceLooksInside(t *testing.T) {
	inside := node("Dropout", []string{"image", "half", "on"}, []string{"d"})
	branch := &onnxpb.GraphProto{Name: proto.String("b"), Node: []*onnxpb.NodeProto{inside},
		Output: []*onnxpb.ValueInfoProto{{Name: proto.String("d")}}}
	m := around(17, func(b *graph.Builder, x string) string {
		return b.Node("If", "y", []string{"on"}, graph.Graph("then_branch", branch), graph.Graph("else_branch", branch))
	})
	if err := surgery.CheckInference(m); err == nil || !strings.Contains(err.Error(), `"d" (Dropout)`) {
		t.Errorf("in a branch: %v", err)
	}
	for value, wrong := range map[string]bool{"on": true, "off": false} {
		m := around(17, func(b *graph.Builder, x string) string { return b.Node("pkg.drop", "y", []string{x, value}) })
		ratio := node("Constant", nil, []string{"r"})
		ratio.Attribute = []graph.Attr{graph.Float("value_float", 0.5)}
		m.Functions = []*onnxpb.FunctionProto{{
			Name: proto.String("drop"), Domain: proto.String("pkg"), Input: []string{"x", "mode"}, Output: []string{"y"},
			Node: []*onnxpb.NodeProto{ratio, node("Dropout", []string{"x", "r", "mode"}, []string{"y"})},
		}}
		if err := surgery.CheckInference(m); (err != nil) != wrong {
			t.Errorf("a function given %s: %v", value, err)
		}
	}
	norm := node("BatchNormalization", []string{"x", "scale", "bias", "mean", "var"}, []string{"y"})
	mode := graph.Int("training_mode", 0)
	mode.RefAttrName = proto.String("training")
	norm.Attribute = []graph.Attr{mode}
	for value, wrong := range map[int64]bool{0: false, 1: true} {
		m := around(17, func(b *graph.Builder, x string) string {
			return b.Node("pkg.norm", "y", []string{x, "scale", "bias", "mean", "var"}, graph.Int("training", value))
		})
		m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("norm"), Domain: proto.String("pkg"),
			Attribute: []string{"training"},
			Input:     []string{"x", "scale", "bias", "mean", "var"}, Output: []string{"y"}, Node: []*onnxpb.NodeProto{norm}}}
		if err := surgery.CheckInference(m); (err != nil) != wrong {
			t.Errorf("a function given training=%d: %v", value, err)
		}
	}
}
