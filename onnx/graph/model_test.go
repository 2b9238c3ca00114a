package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// TestOneImageInput: a body takes one input, of four dimensions or of none stated; a listed weight is none.
func TestOneImageInput(t *testing.T) {
	image, row := []any{"N", 3, 8, 8}, []any{"N", 10}
	for name, c := range map[string]struct {
		shapes [][]any
		want   bool
	}{
		"an image": {[][]any{image}, true}, "a row": {[][]any{row}, false}, "none": {nil, false},
		"two images": {[][]any{image, image}, false}, "an image and a row": {[][]any{image, row}, false},
	} {
		b := graph.NewBuilder("inputs", 17)
		for i, s := range c.shapes {
			b.Input(fmt.Sprint("in", i), graph.Float32, s...)
		}
		weight(b, "w", graph.Float32, 2)
		m := b.Model()
		m.Graph.Input = append(m.Graph.Input, value("w"))
		in, err := m.Image()
		if c.want && (err != nil || in.Name != "in0" || in.Type != "FLOAT") ||
			!c.want && (failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), "a body takes one")) {
			t.Errorf("%s: %+v, %v", name, in, err)
		}
		if names := m.InputNames(); len(names) != len(c.shapes) || len(m.Inputs()) != len(c.shapes) {
			t.Errorf("%s: inputs %v, %v", name, names, m.Inputs())
		}
	}
	m := tiny()
	m.Graph.Input[0].Type = nil
	if in, err := m.Image(); err != nil || in.Shape != nil {
		t.Errorf("of unstated shape: %+v, %v", in, err)
	}
}

// TestSamples: 224 by 224 pixels and three colours where a size is open.
func TestSamples(t *testing.T) {
	for _, c := range []struct {
		in   graph.Input
		want []int64
	}{
		{graph.Input{Shape: []int64{-1, -1, -1, -1}}, []int64{1, 3, 224, 224}},
		{graph.Input{Shape: []int64{-1, -1, -1, -1}, Layout: "NHWC"}, []int64{1, 224, 224, 3}},
		{graph.Input{Shape: []int64{0, 1, -1, 8}, Layout: "NCHW"}, []int64{0, 1, 224, 8}},
		{graph.Input{Shape: []int64{-1, 10}}, []int64{-1, 10}}, {graph.Input{}, nil},
	} {
		before := slices.Clone(c.in.Shape)
		if got := c.in.Sample(); !slices.Equal(got, c.want) || !slices.Equal(c.in.Shape, before) {
			t.Errorf("%+v: %v, want %v", c.in, got, c.want)
		}
	}
}

// TestNameOfTheBatch: of the first input whose first dimension has one.
func TestNameOfTheBatch(t *testing.T) {
	for want, shapes := range map[string][][]any{
		"images": {{"images", 3}}, "rows": {{2, "other"}, {"rows"}}, "N": {{2, "other"}}, "first": {{"first"}, {"second"}},
	} {
		b := graph.NewBuilder("batch", 17)
		b.Input("scalar", graph.Float32)
		for _, s := range shapes {
			b.Input("", graph.Float32, s...)
		}
		if got := b.Model().BatchName(); got != want {
			t.Errorf("%v: %q, want %q", shapes, got, want)
		}
	}
}

// TestDeclaredShapes: as stated; open or impossible sizes are -1, an unstated shape is none.
func TestDeclaredShapes(t *testing.T) {
	v := graph.ValueInfo("x", graph.Float32, []any{0, 5, "N", int64(-3)})
	v.Type.GetTensorType().Shape.Dim = append(v.Type.GetTensorType().Shape.Dim, &onnxpb.TensorShapeProto_Dimension{},
		&onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: -2}})
	if got := graph.Declared(v); !slices.Equal(got, []int64{0, 5, -1, -1, -1, -1}) {
		t.Errorf("%v", got)
	}
	if got := graph.Declared(value("x")); got != nil {
		t.Errorf("none stated: %v", got)
	}
	if got := graph.Declared(graph.ValueInfo("x", graph.Float32, []any{})); got == nil || len(got) != 0 {
		t.Errorf("a scalar: %v", got)
	}
}

// TestOperatorsByDomain: a name is ONNX's in its domain, of two names, where no function of the model hides it.
func TestOperatorsByDomain(t *testing.T) {
	own := &onnxpb.FunctionProto{Name: proto.String("Relu"), Domain: proto.String("ai.onnx")}
	for _, c := range []struct {
		domain    string
		functions []*onnxpb.FunctionProto
		standard  string
		text      string
	}{
		{"", nil, "Relu", "Relu"}, {"ai.onnx", nil, "Relu", "Relu"}, {"org", nil, "", `Relu of domain "org"`},
		{"", []*onnxpb.FunctionProto{own}, "", `Relu, a function of the model's own in domain "ai.onnx"`},
		{"org", []*onnxpb.FunctionProto{own}, "", `Relu of domain "org"`},
		{"org", []*onnxpb.FunctionProto{own, {Name: proto.String("Relu"), Domain: proto.String("org")}}, "",
			`Relu, a function of the model's own in domain "org"`},
		{"", []*onnxpb.FunctionProto{{Name: proto.String("Gelu")}}, "Relu", "Relu"},
	} {
		m := tiny()
		m.Functions = c.functions
		n := m.Graph.Node[1]
		n.Domain = &c.domain
		if op := m.Op(n); op.Standard() != c.standard || op.String() != c.text {
			t.Errorf("%q: %q, %s", c.domain, op.Standard(), op)
		}
		want := (*onnxpb.NodeProto)(nil)
		if strings.Contains(c.text, "function") {
			want = n
		}
		if got := m.OwnCall(); got != want {
			t.Errorf("%q: the call of its own is %v", c.domain, got)
		}
		inside := node("If", []string{"image"}, []string{"choice"}) // and inside a node
		inside.Attribute = []graph.Attr{graph.Graph("then_branch", branchOf([]*onnxpb.NodeProto{n}))}
		m.Graph.Node = []*onnxpb.NodeProto{m.Graph.Node[0], inside}
		if got := m.OwnCall(); got != want {
			t.Errorf("%q, in a branch: the call of its own is %v", c.domain, got)
		}
	}
}

// TestRaisedOpset: the version rises where that changes nothing; what it changed is named, and all stays as it was.
func TestRaisedOpset(t *testing.T) {
	for name, c := range map[string]struct {
		opset  int64
		domain string
		change func(m *graph.Model)
		want   int64  // version afterwards
		reason string // in the error
	}{
		"13": {opset: 13, want: 18}, "17": {opset: 17, want: 18}, "18": {opset: 18, want: 18}, "21": {opset: 21, want: 21},
		"17, written out": {opset: 17, domain: "ai.onnx", want: 18},
		"12":              {opset: 12, want: 12, reason: `node "conv" (Conv) is operator Conv, written for operator set 12`},
		"a sum": {opset: 17, want: 18,
			change: func(m *graph.Model) { m.Graph.Node[1].OpType = proto.String("ReduceSum") }},
		"a mean": {opset: 17, want: 17, reason: "ReduceMean, written for operator set 17, which 18 changed",
			change: func(m *graph.Model) { m.Graph.Node[1].OpType = proto.String("ReduceMean") }},
		"another's mean": {opset: 17, want: 18, change: func(m *graph.Model) {
			m.Graph.Node[1].OpType, m.Graph.Node[1].Domain = proto.String("ReduceMean"), proto.String("org")
		}},
		"functions": {opset: 17, want: 17, reason: "functions of its own", change: func(m *graph.Model) {
			m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("f"), Domain: proto.String("pkg")}}
		}},
	} {
		m := tiny()
		m.OpsetImport = append([]*onnxpb.OperatorSetIdProto{{Domain: proto.String("org"), Version: proto.Int64(3)}},
			&onnxpb.OperatorSetIdProto{Domain: &c.domain, Version: &c.opset})
		if c.change != nil {
			c.change(m)
		}
		shared := m.OpsetImport
		before := proto.Clone(shared[1])
		err := m.RaiseOpset()
		if (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v", name, err)
		}
		if o := m.OpsetImport; len(o) != 2 || o[0].GetVersion() != 3 || o[1].GetDomain() != c.domain || m.Opset() != c.want {
			t.Errorf("%s: imports %v, want %d", name, o, c.want)
		}
		if !proto.Equal(shared[1], before) {
			t.Errorf("%s: the list that others share changed", name)
		}
	}
}

// TestRenamed: every name once, of nodes and tensors, inside nodes too; what has none keeps none; the graph stays.
func TestRenamed(t *testing.T) {
	m := tiny()
	g := m.Graph
	inner := branchOf([]*onnxpb.NodeProto{node("Add", []string{"conv", "own"}, []string{"sum"})}, "sum")
	inner.Initializer = []*onnxpb.TensorProto{named("own")}
	choose := &onnxpb.NodeProto{OpType: proto.String("If"), Input: []string{"image", ""}, Output: []string{"", "choice"},
		Attribute: []graph.Attr{graph.Graph("then_branch", inner), graph.Int("kept", 7),
			{Name: proto.String("more"), Graphs: []*onnxpb.GraphProto{branchOf(nil, "conv")}}}}
	g.Node = append(g.Node, choose)
	g.SparseInitializer = []*onnxpb.SparseTensorProto{sparse("thin"), {Dims: []int64{4}}}
	g.ValueInfo = []*onnxpb.ValueInfoProto{value("conv"), {}, {Name: proto.String("")}}
	g.QuantizationAnnotation = []*onnxpb.TensorAnnotation{{TensorName: proto.String("conv"),
		QuantParameterTensorNames: []*onnxpb.StringStringEntryProto{{Key: proto.String("SCALE_TENSOR"),
			Value: proto.String("thin")}}}}
	before := proto.Clone(g)
	got := graph.Renamed(g, func(s string) string {
		if s == "" {
			t.Error("an empty name was renamed")
		}
		return "new." + s
	})
	if !proto.Equal(g, before) {
		t.Error("the graph changed")
	}
	back := graph.Renamed(got, func(s string) string {
		if !strings.HasPrefix(s, "new.") || strings.HasPrefix(s, "new.new.") {
			t.Errorf("%q is no name once renamed", s)
		}
		return strings.TrimPrefix(s, "new.")
	})
	if !proto.Equal(back, before) {
		t.Errorf("renamed back:\n%v\nwant\n%v", back, before)
	}
	want := []string{"choice", "conv", "conv.weight", "image", "own", "relu", "sum", "thin"}
	relu := g.Node[1].Output[0]
	want[slices.Index(want, "relu")] = relu
	all := graph.Names(g)
	for _, name := range want {
		if !all[name] {
			t.Errorf("%q is not among the names", name)
		}
	}
	if len(all) != len(want) {
		t.Errorf("names %v", all)
	}
}

// TestReads: inputs that are there, then what graphs inside take from around them.
func TestReads(t *testing.T) {
	inner := branchOf([]*onnxpb.NodeProto{node("Add", []string{"outer", "own"}, []string{"sum"})}, "sum", "late")
	inner.Initializer = []*onnxpb.TensorProto{named("own")}
	n := &onnxpb.NodeProto{Input: []string{"a", "", "b"}, Attribute: []graph.Attr{graph.Graph("then_branch", inner)}}
	if got := graph.Reads(n); !slices.Equal(got, []string{"a", "b", "outer", "late"}) {
		t.Errorf("%v", got)
	}
}

// TestMeta: a value under its key, a later one in its place, without a change to models that share the list.
func TestMeta(t *testing.T) {
	m := tiny()
	m.SetMeta("a", "1")
	other := &graph.Model{ModelProto: graph.Shallow(m.ModelProto)}
	m.SetMeta("a", "2")
	m.SetMeta("b", "3")
	for key, want := range map[string]string{"a": "2", "b": "3", "c": ""} {
		if v, ok := m.Meta(key); v != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", key, v, ok)
		}
	}
	if v, _ := other.Meta("a"); v != "1" || len(other.MetadataProps) != 1 {
		t.Errorf("the other model has %v", other.MetadataProps)
	}
}
