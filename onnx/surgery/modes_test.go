package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// TestTrainingModeInEveryStorage: what says so may be stored in any field and pass through nodes that only pass it on.
func TestTrainingModeInEveryStorage(t *testing.T) {
	raw := func(e int32, data ...byte) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{DataType: &e, RawData: data}
	}
	boolField := &onnxpb.TensorProto{DataType: elem(graph.Bool), Int32Data: []int32{1}}
	for name, c := range map[string]struct {
		ratio, mode *onnxpb.TensorProto
		wrong       bool
	}{
		"raw": {named(""), raw(graph.Bool, 1), true}, "raw, off": {named(""), raw(graph.Bool, 0), false},
		"field":      {named(""), boolField, true},
		"field, off": {named(""), &onnxpb.TensorProto{DataType: elem(graph.Bool), Int32Data: []int32{0}}, false},
		"list of one": {named(""),
			&onnxpb.TensorProto{DataType: elem(graph.Bool), Dims: []int64{1}, Int32Data: []int32{0}}, false},
		// not one truth
		"list of two": {named(""),
			&onnxpb.TensorProto{DataType: elem(graph.Bool), Dims: []int64{2}, Int32Data: []int32{0, 0}}, true},
		"raw list of two": {named(""),
			&onnxpb.TensorProto{DataType: elem(graph.Bool), Dims: []int64{2}, RawData: []byte{0, 0}}, true},
		"integers":      {named(""), &onnxpb.TensorProto{DataType: elem(graph.Int64), Int64Data: []int64{1}}, true},
		"integers, off": {named(""), &onnxpb.TensorProto{DataType: elem(graph.Int64), Int64Data: []int64{0}}, false},
		"ratio of no double": {&onnxpb.TensorProto{DataType: elem(graph.Float64), DoubleData: []float64{0}}, boolField,
			false},
		"ratio of a double": {&onnxpb.TensorProto{DataType: elem(graph.Float64), DoubleData: []float64{0.5}}, boolField,
			true},
		"ratio of no float": {&onnxpb.TensorProto{DataType: elem(graph.Float32), FloatData: []float32{0}}, boolField, false},
		"ratio of a float": {&onnxpb.TensorProto{DataType: elem(graph.Float32), FloatData: []float32{0.5}}, boolField,
			true},
		"ratio of last byte": {raw(graph.Float32, 0, 0, 0, 63), boolField, true},
	} {
		for _, through := range []string{"", "Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Constant", "later",
			"org.example.Identity", "Relu"} {
			ratio, mode := proto.Clone(c.ratio).(*onnxpb.TensorProto), proto.Clone(c.mode).(*onnxpb.TensorProto)
			ratio.Name, mode.Name = proto.String("ratio"), proto.String("mode")
			m := around(17, func(b *graph.Builder, x string) string {
				r, on := "ratio", "mode"
				if through == "Constant" || through == "later" {
					r, on = b.Node("Constant", r, nil, graph.Tensor("value", ratio)),
						b.Node("Constant", on, nil, graph.Tensor("value", mode))
				} else {
					b.InitTensor(ratio)
					b.InitTensor(mode)
					if through != "" {
						r, on = b.Node(through, "", []string{r}), b.Node(through, "", []string{on})
					}
				}
				return b.Node("Dropout", "y", []string{x, r, on})
			})
			wrong := c.wrong
			switch through {
			case "later":
				slices.Reverse(m.Graph.Node) // a file need not be in order
			case "org.example.Identity", "Relu":
				wrong = true // it may be
			}
			if err := surgery.CheckInference(m); (err != nil) != wrong {
				t.Errorf("%s through %q: %v, want an error: %v", name, through, err, wrong)
			}
		}
	}
	for attribute, wrong := range map[string]bool{"value_int 0": false, "value_int 1": true, "value_float 0": false,
		"value_float 0.5": true, "value_ints": true} {
		m := around(17, func(b *graph.Builder, x string) string {
			a := map[string]graph.Attr{"value_int 0": graph.Int("value_int", 0), "value_int 1": graph.Int("value_int", 1),
				"value_float 0":   graph.Float("value_float", 0),
				"value_float 0.5": graph.Float("value_float", 0.5), "value_ints": graph.Ints("value_ints", 0)}[attribute]
			return b.Node("Dropout", "y", []string{x, b.Node("Constant", "r", nil, a), "on"})
		})
		if err := surgery.CheckInference(m); (err != nil) != wrong {
			t.Errorf("a ratio of %s: %v", attribute, err)
		}
	}
}

// TestTrainingModeIsCounted: one node is named, the others are counted; operator sets decide what their attributes
// mean.
func TestTrainingModeIsCounted(t *testing.T) {
	for n, want := range map[int]string{1: "", 2: ", as are 1 more", 3: ", as are 2 more"} {
		err := surgery.CheckInference(around(17, func(b *graph.Builder, x string) string {
			for range n {
				x = b.Node("RandomNormalLike", "", []string{x})
			}
			return x
		}))
		if err == nil || !strings.Contains(err.Error(), "draws random numbers"+want+": predictions") {
			t.Errorf("%d nodes: %v", n, err)
		}
	}
	for opset, wrong := range map[int64]bool{6: true, 7: false, 11: false, 12: true} {
		m := around(opset, func(b *graph.Builder, x string) string {
			if opset < 10 {
				return b.Node("Dropout", "y", []string{x})
			}
			return b.Node("Dropout", "y", []string{x, "half", "on"})
		})
		if err := surgery.CheckInference(m); (err != nil) != wrong {
			t.Errorf("operator set %d: %v", opset, err)
		}
	}
	// a function's own operator set counts for its nodes, else the model's
	for i, imports := range [][]*onnxpb.OperatorSetIdProto{nil,
		{{Domain: proto.String("org.example"), Version: proto.Int64(6)}},
		{{Domain: proto.String("ai.onnx"), Version: proto.Int64(6)}}} {
		m := around(17, func(b *graph.Builder, x string) string { return b.Node("pkg.drop", "y", []string{x}) })
		m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("drop"), Domain: proto.String("pkg"), Input: []string{"x"},
			Output: []string{"y"}, OpsetImport: imports,
			Node: []*onnxpb.NodeProto{node("Dropout", []string{"x"}, []string{"y"})}}}
		if err := surgery.CheckInference(m); (err != nil) != (i == 2) {
			t.Errorf("a function that imports %v: %v", imports, err)
		}
	}
	// what a branch calls "on" is its own: an input, an initializer, or a node's
	off := boolean("on", 0)
	for what, g := range map[string]*onnxpb.GraphProto{
		"may be in": {Input: []*onnxpb.ValueInfoProto{value("on")}}, "": {Initializer: []*onnxpb.TensorProto{off}},
		"may be": {Node: []*onnxpb.NodeProto{node("NonZero", []string{"image"}, []string{"on"})}},
	} {
		g.Node = append(g.Node, node("Dropout", []string{"image", "half", "on"}, []string{"d"}))
		m := around(17, func(b *graph.Builder, x string) string {
			return b.Node("If", "y", []string{"on"}, graph.Graph("then_branch", g))
		})
		if err := surgery.CheckInference(m); (err == nil) != (what == "") ||
			err != nil && !strings.Contains(err.Error(), what) {
			t.Errorf("%q: %v", what, err)
		}
	}
}

// TestConstantsAroundBranches: a branch knows what the graphs around it say, as far as no name of its own hides it.
func TestConstantsAroundBranches(t *testing.T) {
	for switched, sound := range map[string]bool{"on": false, "off": true} {
		inner := branchOf([]*onnxpb.NodeProto{node("Dropout", []string{"image", "half", switched}, []string{"d"})}, "d")
		for range 2 {
			inner = branchOf([]*onnxpb.NodeProto{{OpType: proto.String("If"), Input: []string{"on"}, Output: []string{"d"},
				Attribute: []graph.Attr{graph.Graph("then_branch", inner)}}}, "d")
		}
		m := around(17, func(b *graph.Builder, x string) string {
			return b.Node("If", "y", []string{"on"}, graph.Graph("then_branch", inner))
		})
		if err := surgery.CheckInference(m); (err == nil) != sound || err != nil && strings.Contains(err.Error(), "may be") {
			t.Errorf("switched %s: %v", switched, err)
		}
	}
}

// TestUses: operators of ONNX's own, in the graph, in branches and in functions.
func TestUses(t *testing.T) {
	m := around(17, func(b *graph.Builder, x string) string {
		inner := branchOf([]*onnxpb.NodeProto{node("Sigmoid", []string{"image"}, []string{"s"})}, "s")
		return b.Node("If", "y", []string{"on"}, graph.Graph("then_branch", inner))
	})
	other := node("Tanh", []string{"image"}, []string{"t"})
	other.Domain = proto.String("org.example")
	m.Graph.Node = append(m.Graph.Node, other)
	m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("Elu"),
		Node: []*onnxpb.NodeProto{node("Relu", nil, []string{"r"})}}}
	for op, want := range map[string]bool{"If": true, "Sigmoid": true, "Relu": true, "Tanh": false, "Elu": false,
		"Conv": false} {
		if surgery.Uses(m, op) != want {
			t.Errorf("uses %s: want %v", op, want)
		}
	}
}

// TestDivisorsInsideNodes: names of a branch hide those around it; what a caller may feed is not known.
func TestDivisorsInsideNodes(t *testing.T) {
	two, zero := graph.IntTensor("d", nil, []int64{2}), graph.IntTensor("d", nil, []int64{0})
	constant := node("Constant", nil, []string{"d"})
	constant.Attribute = []graph.Attr{graph.Int("value_int", 3)}
	for name, c := range map[string]struct {
		outer, inner *onnxpb.TensorProto
		input        bool
		nodes        []*onnxpb.NodeProto
		sound        bool
	}{
		"from around":              {two, nil, false, nil, true},
		"zero from around":         {zero, nil, false, nil, false},
		"its own":                  {zero, two, false, nil, true},
		"its own zero":             {two, zero, false, nil, false},
		"its own input":            {two, nil, true, nil, false},
		"its own input by default": {two, two, true, nil, false},
		"made by its own node":     {two, nil, false, []*onnxpb.NodeProto{node("Odd", nil, []string{"d"})}, false},
		"its own constant":         {zero, nil, false, []*onnxpb.NodeProto{constant}, true},
	} {
		b := graph.NewBuilder("inside", 17)
		whole := b.Input("whole", graph.Int64, 2)
		b.InitTensor(c.outer)
		inner := branchOf(append(c.nodes, node("Div", []string{"whole", "d"}, []string{"q"})), "q")
		if c.inner != nil {
			inner.Initializer = []*onnxpb.TensorProto{c.inner}
		}
		if c.input {
			inner.Input = []*onnxpb.ValueInfoProto{value("d")}
		}
		b.Output(b.Node("If", "y", []string{whole}, graph.Graph("then_branch", inner)), graph.Int64)
		if err := surgery.CheckDivisors(b.Model()); (err == nil) != c.sound ||
			err != nil && (failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), `"q" (Div)`)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDivisorsByType: floats may be zero, whatever their width; other domains and types that cannot be read are not
// judged alike.
func TestDivisorsByType(t *testing.T) {
	for e, sound := range map[int32]bool{graph.Float32: true, graph.Float64: true, graph.Float16: true,
		int32(onnxpb.TensorProto_BFLOAT16): true, graph.Int32: false, graph.Int64: false, graph.Uint8: false} {
		b := graph.NewBuilder("types", 17)
		x, y := b.Input("x", e, 2), b.Input("y", e, 2)
		b.Output(b.Node("Div", "q", []string{x, y}), e)
		if err := surgery.CheckDivisors(b.Model()); (err == nil) != sound {
			t.Errorf("type %d: %v", e, err)
		}
	}
	for i, c := range []struct {
		op    string
		attrs []graph.Attr
		sound bool
	}{
		{"Div", []graph.Attr{graph.Float("value_float", 0)}, true},
		{"Div", []graph.Attr{graph.Floats("value_floats", 0)}, true}, {"Div", []graph.Attr{graph.Int("value_int", 1)}, true},
		{"Div", []graph.Attr{graph.Ints("value_ints", 1, 0)}, false},
		{"Mod", []graph.Attr{graph.Tensor("value", graph.IntTensor("", nil, []int64{0}))}, false},
		{"Mod", []graph.Attr{graph.Tensor("value", graph.IntTensor("", nil, []int64{1}))}, true},
		{"org.example.Div", []graph.Attr{graph.Int("value_int", 0)}, true},
	} {
		b := graph.NewBuilder("constants", 17)
		b.Output(b.Node(c.op, "q", []string{b.Input("x", graph.Int64, 2), b.Node("Constant", "d", nil, c.attrs...)}),
			graph.Int64)
		if err := surgery.CheckDivisors(b.Model()); (err == nil) != c.sound {
			t.Errorf("%d: %v", i, err)
		}
	}
	b := graph.NewBuilder("another's value", 17)
	ones := graph.Tensor("value", graph.IntTensor("", []int64{1}, []int64{1}))
	b.Output(b.Node("Div", "q", []string{b.Input("x", graph.Int64, 2), b.Node("ConstantOfShape", "d",
		[]string{b.Input("n", graph.Int64, 1)}, ones)}), graph.Int64)
	if err := surgery.CheckDivisors(b.Model()); err == nil {
		t.Error("only the value of a Constant is one")
	}
	b = graph.NewBuilder("default", 17)
	b.Output(b.Node("Div", "q", []string{b.Input("x", graph.Int64, 2), b.Ints("d", nil, []int64{2})}), graph.Int64)
	m := b.Model()
	m.Graph.Input = append(m.Graph.Input, value("d"))
	if err := surgery.CheckDivisors(m); err == nil {
		t.Error("a caller may feed zero in place of a default")
	}
}
