package surgery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// named is an initializer of one float.
func named(name string) *onnxpb.TensorProto { return graph.FloatTensor(name, []int64{1}, []float32{1}) }

func sparse(name string) *onnxpb.SparseTensorProto {
	return &onnxpb.SparseTensorProto{Values: named(name), Indices: graph.IntTensor("", []int64{1}, []int64{0}),
		Dims: []int64{4}}
}

func value(name string) *onnxpb.ValueInfoProto { return &onnxpb.ValueInfoProto{Name: &name} }

// everything is a model with one of all that carries names.
func everything() *graph.Model {
	b := graph.NewBuilder("everything", 17)
	x := b.Input("x", graph.Float32, "rows", 4)
	b.NodeN("org.example.Odd", []string{x, "", b.Init("w", []int64{4}, make([]float32, 4))}, []string{"odd", ""})
	b.Output(b.Node("If", "y", []string{b.Input("choice", graph.Bool)}), graph.Float32, "rows", 4)
	m := b.Model()
	m.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{sparse("thin"), {Dims: []int64{4}}}
	m.Graph.Node[0].Input = append(m.Graph.Node[0].Input, "thin")
	m.Graph.Node[0].Name = nil
	inner := branchOf([]*onnxpb.NodeProto{node("Add", []string{"odd", "own"}, []string{"sum"})}, "sum")
	inner.Initializer, inner.ValueInfo = []*onnxpb.TensorProto{named("own")}, []*onnxpb.ValueInfoProto{value("sum"), {}}
	m.Graph.Node[1].Attribute = []graph.Attr{graph.Graph("then_branch", inner),
		{Name: proto.String("more"), Graphs: []*onnxpb.GraphProto{proto.Clone(inner).(*onnxpb.GraphProto)}}}
	for _, name := range []string{"odd", "w", "nobody's"} {
		scale := &onnxpb.StringStringEntryProto{Key: proto.String("SCALE_TENSOR"), Value: proto.String("w")}
		m.Graph.QuantizationAnnotation = append(m.Graph.QuantizationAnnotation,
			&onnxpb.TensorAnnotation{TensorName: proto.String(name),
				QuantParameterTensorNames: []*onnxpb.StringStringEntryProto{scale}})
	}
	m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{value("odd")}
	return m
}

// TestJoinRenamesEverything: all names inside the second model get the prefix, what is left out stays left out.
func TestJoinRenamesEverything(t *testing.T) {
	a, b := concatHead(), everything()
	before := proto.Clone(b.ModelProto)
	m, err := surgery.Join(a, b, map[string]string{"x": "flat"}, "b.")
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(b.ModelProto, before) {
		t.Error("the second model changed")
	}
	g := m.Graph
	odd, choose := g.Node[len(g.Node)-2], g.Node[len(g.Node)-1]
	if !slices.Equal(odd.Input, []string{"flat", "", "b.w", "b.thin"}) ||
		!slices.Equal(odd.Output, []string{"b.odd", ""}) || odd.GetName() != "" || choose.GetName() != "y" {
		t.Errorf("%v\n%v", odd, choose)
	}
	for i, inner := range []*onnxpb.GraphProto{choose.Attribute[0].G, choose.Attribute[1].Graphs[0]} {
		if n := inner.Node[0]; !slices.Equal(n.Input, []string{"b.odd", "b.own"}) ||
			inner.Output[0].GetName() != n.Output[0] || n.Output[0] != "b.sum" || inner.Initializer[0].GetName() != "b.own" ||
			inner.ValueInfo[0].GetName() != "b.sum" || inner.ValueInfo[1].Name != nil {
			t.Errorf("branch %d: %v", i, inner)
		}
	}
	if len(g.SparseInitializer) != 2 || g.SparseInitializer[0].Values.GetName() != "b.thin" ||
		len(g.SparseInitializer[0].GetIndices().GetRawData()) != 8 {
		t.Errorf("sparse %v", g.SparseInitializer)
	}
	if q := g.QuantizationAnnotation; len(q) != 3 || q[0].GetTensorName() != "b.odd" ||
		q[0].QuantParameterTensorNames[0].GetValue() != "b.w" {
		t.Errorf("annotations %v", q)
	}
	if in := m.Inputs(); len(in) != 2 || in[0].Name != "image" || in[1].Name != "choice" {
		t.Errorf("inputs %v", in)
	}
	if out := m.Outputs(); len(out) != 1 || out[0].Name != "y" {
		t.Errorf("outputs %v", out)
	}
	if o := m.OpsetImport; len(o) != 2 || o[1].GetDomain() != "org.example" || len(a.OpsetImport) != 1 {
		t.Errorf("imports %v, of the first model %v", o, a.OpsetImport)
	}
	hints := map[string]int{} // the first model's output is inside now; its shape stays known
	for _, v := range g.ValueInfo {
		hints[v.GetName()]++
	}
	if len(g.ValueInfo) != 2 || hints["flat"] != 1 || hints["b.odd"] != 1 {
		t.Errorf("hints %v", hints)
	}
	a.Graph.ValueInfo = []*onnxpb.ValueInfoProto{a.Graph.Output[0]}
	if m, err = surgery.Join(a, b, map[string]string{"x": "flat"}, "b."); err != nil || len(m.Graph.ValueInfo) != 2 {
		t.Errorf("a hint twice: %v, %v", m.Graph.ValueInfo, err)
	}
}

// TestJoinHeaders: the newer format, functions of both, the second model's metadata, no checksum of either.
func TestJoinHeaders(t *testing.T) {
	a, b := picking(), scaler(17)
	b.IrVersion, b.Path = proto.Int64(9), "b.onnx"
	a.SetMeta("classes", "old")
	b.Functions = []*onnxpb.FunctionProto{proto.Clone(a.Functions[0]).(*onnxpb.FunctionProto),
		{Name: proto.String("other"), Domain: proto.String("pkg")}}
	checked := scaler(17)
	if err := checked.AddChecksum(); err != nil {
		t.Fatal(err)
	}
	b.MetadataProps = append(b.MetadataProps, checked.MetadataProps[len(checked.MetadataProps)-1])
	m, err := surgery.Join(a, b, map[string]string{"x": "map"}, "b.")
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := m.Meta("classes"); v != "[]" || len(m.MetadataProps) != 1 || m.GetIrVersion() != 9 || m.Path != "b.onnx" ||
		len(m.Functions) != 2 || len(a.Functions) != 1 {
		t.Errorf("metadata %v, format %d, path %q, %d functions", m.MetadataProps, m.GetIrVersion(), m.Path, len(m.Functions))
	}
	if v, _ := a.Meta("classes"); v != "old" {
		t.Errorf("the first model's metadata became %q", v)
	}
	if out := m.Outputs(); len(out) != 2 || out[0].Name != "same" || out[1].Name != "y" {
		t.Errorf("outputs %v", out)
	}
	b.Graph.Input = append(b.Graph.Input, value("w")) // has a default
	for _, to := range []string{"y", "w"} {
		if _, err := surgery.Join(a, b, map[string]string{to: "map"}, "b."); err == nil ||
			!strings.Contains(err.Error(), "no input") {
			t.Errorf("connecting %q: %v", to, err)
		}
	}
}

// TestCutKeepsWhatIsReadAlone: sparse weights, annotations and inputs too; what a later ONNX adds survives.
func TestCutKeepsWhatIsReadAlone(t *testing.T) {
	m := everything()
	extra := []byte{0xfa, 0x7f, 3, 'n', 'e', 'w'}
	m.ProtoReflect().SetUnknown(extra)
	m.Graph.ProtoReflect().SetUnknown(extra)
	m.Graph.SparseInitializer = append(m.Graph.SparseInitializer, sparse("unread"))
	body, err := surgery.CutAt(m, "odd")
	if err != nil {
		t.Fatal(err)
	}
	g := body.Graph
	if len(g.SparseInitializer) != 1 || g.SparseInitializer[0].Values.GetName() != "thin" ||
		len(g.QuantizationAnnotation) != 2 || len(g.Input) != 1 || g.Input[0].GetName() != "x" || len(g.ValueInfo) != 0 {
		t.Errorf("%v", g)
	}
	if string(body.ProtoReflect().GetUnknown()) != string(extra) ||
		string(g.ProtoReflect().GetUnknown()) != string(extra) {
		t.Error("fields of a later ONNX are lost")
	}
	for ir, want := range map[int64]int64{3: 4, 4: 4, 8: 8} {
		m.IrVersion = &ir
		if body, err := surgery.CutAt(m, "odd"); err != nil || body.GetIrVersion() != want {
			t.Errorf("format %d is cut into format %d, want %d (initializers need not be inputs)", ir, body.GetIrVersion(), want)
		}
	}
}

// TestShapeAtTheCut: as far as it is known; the open batch keeps its name.
func TestShapeAtTheCut(t *testing.T) {
	b := graph.NewBuilder("shape", 17)
	b.Input("scalar", graph.Float32)
	b.Input("fixed", graph.Float32, 1, 2)
	x := b.Input("image", graph.Float32, "images", 3, "H", 8)
	b.Node("Conv", "map", []string{x, b.Init("w", []int64{4, 3, 1, 1}, make([]float32, 12))})
	b.Node("Slice", "none",
		[]string{x, b.Ints("", []int64{1}, []int64{0}), b.Ints("", []int64{1}, []int64{0}),
			b.Ints("", []int64{1}, []int64{1})})
	b.Output(b.Node("org.example.Odd", "odd", []string{x}), graph.Float32)
	m := b.Model()
	m.Graph.Output = nil
	for name, want := range map[string]string{"map": "[images 4 ? 8]", "none": "[images 0 ? 8]"} {
		body, err := surgery.CutAt(m, name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range body.Graph.Output[0].GetType().GetTensorType().GetShape().GetDim() {
			text := "?"
			if d.GetDimParam() != "" {
				text = d.GetDimParam()
			} else if d.Value != nil {
				text = fmt.Sprint(d.GetDimValue())
			}
			got = append(got, text)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s has shape %v, want %s", name, got, want)
		}
	}
	if body, err := surgery.CutAt(m, "odd"); err != nil || body.Outputs()[0].Shape != nil {
		t.Errorf("an unknown shape is given as %v, %v", body.Outputs(), err)
	}
}
