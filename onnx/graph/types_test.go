package graph_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// TestTypesAtTheCut: the element type of what a node makes, by the specification of its operator.
func TestTypesAtTheCut(t *testing.T) {
	uint8s := func(name string, e int32) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String(name), DataType: elem(e), RawData: []byte{3}}
	}
	for i, c := range []struct {
		op     string
		inputs []string
		output int
		attrs  []graph.Attr
		want   int32
	}{
		{"Relu", []string{"x"}, 0, nil, graph.Float32},
		{"Relu", []string{"half"}, 0, nil, graph.Float16},
		{"Cast", []string{"x"}, 0, []graph.Attr{graph.Int("to", int64(graph.Float64))}, graph.Float64},
		{"Shape", []string{"x"}, 0, nil, graph.Int64},
		{"Size", []string{"x"}, 0, nil, graph.Int64},
		{"ArgMax", []string{"x"}, 0, nil, graph.Int64},
		{"ArgMin", []string{"x"}, 0, nil, graph.Int64},
		{"MaxPool", []string{"half"}, 0, nil, graph.Float16},
		{"MaxPool", []string{"half"}, 1, nil, graph.Int64},
		{"Dropout", []string{"half"}, 1, nil, graph.Float16},
		{"DequantizeLinear", []string{"u8", "scale"}, 0, nil, graph.Float32},
		{"Where", []string{"yes", "half", "half"}, 0, nil, graph.Float16},
		{"QuantizeLinear", []string{"x", "scale"}, 0, nil, graph.Uint8},
		{"QuantizeLinear", []string{"x", "scale", "i8"}, 0, nil, graph.Int8},
		{"Equal", []string{"x", "x"}, 0, nil, graph.Bool},
		{"Not", []string{"yes"}, 0, nil, graph.Bool},
		{"Constant", nil, 0, []graph.Attr{graph.Tensor("value", uint8s("", graph.Int8))}, graph.Int8},
		{"Constant", nil, 0, []graph.Attr{graph.Int("value_int", 1)}, graph.Int64},
		{"Constant", nil, 0, []graph.Attr{graph.Ints("value_ints", 1)}, graph.Int64},
		{"Constant", nil, 0, []graph.Attr{graph.Float("value_float", 1)}, graph.Float32},
		{"Constant", nil, 0, []graph.Attr{graph.Floats("value_floats", 1)}, graph.Float32},
		{"Odd", nil, 0, nil, 0},
	} {
		b := graph.NewBuilder("types", 17)
		b.Input("x", graph.Float32, "N", 3, 8, 8)
		b.Input("half", graph.Float16, "N", 3, 8, 8)
		b.Input("yes", graph.Bool, "N", 3, 8, 8)
		b.Init("scale", nil, []float32{1})
		b.InitTensor(uint8s("u8", graph.Uint8))
		b.InitTensor(uint8s("i8", graph.Int8))
		outputs := []string{"y", "y2"}[:c.output+1]
		b.NodeN(c.op, c.inputs, outputs, c.attrs...)
		m := b.Model()
		for _, hint := range []*onnxpb.ValueInfoProto{nil, {Name: &outputs[c.output]}} { // one without a type says nothing
			if hint != nil {
				m.Graph.ValueInfo = append(m.Graph.ValueInfo, hint)
			}
			body, err := surgery.CutAt(m, outputs[c.output])
			if err != nil {
				t.Fatal(err)
			}
			if got := body.Outputs()[0].Elem; got != c.want {
				t.Errorf("%d: output %d of %s has type %d, want %d", i, c.output, c.op, got, c.want)
			}
		}
	}
}

// TestDataFitsItsType: bytes of raw data for every type, and the field that holds values of it (onnx.proto); one more
// or less is refused.
func TestDataFitsItsType(t *testing.T) {
	check := func(w *onnxpb.TensorProto) error {
		w.Name, w.Dims = proto.String("w"), []int64{3}
		m := tiny()
		m.Graph.Initializer = append(m.Graph.Initializer, w)
		return m.Check()
	}
	for _, c := range []struct {
		bytes int
		types string
	}{
		{1, "UINT8 INT8 BOOL"}, {2, "UINT16 INT16 FLOAT16 BFLOAT16"}, {4, "FLOAT INT32 UINT32"}, {8, "DOUBLE INT64 UINT64"},
	} {
		for _, name := range strings.Fields(c.types) {
			e := onnxpb.TensorProto_DataType_value[name]
			for _, extra := range []int{0, -1, 1} {
				if err := check(&onnxpb.TensorProto{DataType: &e,
					RawData: make([]byte, 3*c.bytes+extra)}); (err == nil) != (extra == 0) {
					t.Errorf("%s: %d bytes for three: %v", name, 3*c.bytes+extra, err)
				}
				n := 3 + extra
				w := &onnxpb.TensorProto{DataType: &e}
				switch name {
				case "FLOAT":
					w.FloatData = make([]float32, n)
				case "DOUBLE":
					w.DoubleData = make([]float64, n)
				case "INT64":
					w.Int64Data = make([]int64, n)
				case "UINT32", "UINT64":
					w.Uint64Data = make([]uint64, n)
				default:
					w.Int32Data = make([]int32, n)
				}
				if err := check(w); (err == nil) != (extra == 0) {
					t.Errorf("%s: %d values for three: %v", name, n, err)
				}
			}
		}
	}
	if err := check(&onnxpb.TensorProto{DataType: elem(int32(onnxpb.TensorProto_STRING)),
		StringData: make([][]byte, 3)}); err != nil {
		t.Errorf("text: %v", err)
	}
	for _, dims := range [][]int64{{-1}, {3, -1}, {1 << 32, 1 << 31}} {
		w := &onnxpb.TensorProto{Dims: dims, DataType: elem(graph.Float32)}
		if _, err := graph.FloatsOf(w); err == nil || !strings.Contains(err.Error(), "impossible dimensions") {
			t.Errorf("%v: %v", dims, err)
		}
	}
	huge := &onnxpb.TensorProto{Dims: []int64{graph.MaxBytes + 1}, DataType: elem(int32(onnxpb.TensorProto_STRING))}
	if _, err := graph.IntsOf(huge); err == nil || !strings.Contains(err.Error(), "do not fit") {
		t.Errorf("more text than a model holds: %v", err)
	}
	whole := &onnxpb.TensorProto{Dims: []int64{math.MaxInt64}, DataType: elem(graph.Float32)} // a shape that could be
	if _, err := graph.FloatsOf(whole); err == nil || !strings.Contains(err.Error(), "do not fit") {
		t.Errorf("%v: %v", whole.Dims, err)
	}
	for n, sound := range map[int64]bool{graph.MaxBytes: true, graph.MaxBytes + 1: false} {
		m := tiny()
		m.Graph.Initializer = append(m.Graph.Initializer,
			&onnxpb.TensorProto{Name: proto.String("text"), Dims: []int64{n}, DataType: huge.DataType})
		if err := m.Check(); (err == nil) != sound {
			t.Errorf("%d texts: %v", n, err)
		}
	}
	if v, err := graph.FloatsOf(&onnxpb.TensorProto{Dims: []int64{0, 5}, DataType: elem(graph.Float32)}); err != nil ||
		len(v) != 0 {
		t.Errorf("no values: %v, %v", v, err)
	}
	for _, w := range []*onnxpb.TensorProto{{Dims: []int64{1 << 62, 1}},
		{Dims: []int64{5}, DataType: elem(graph.Int64), Int64Data: []int64{1}}} {
		if v, err := graph.IntsOf(w); err == nil {
			t.Errorf("%v: integers %v", w, v)
		}
	}
}

// TestAttributesRoundTrip: what is put into a node is found in it; the type is ONNX's.
func TestAttributesRoundTrip(t *testing.T) {
	n := &onnxpb.NodeProto{Attribute: []graph.Attr{
		graph.Int("i", -3), graph.Ints("is", 4, 5), graph.Float("f", 0.5), graph.Floats("fs", 1, 2), graph.Str("s", "SAME"),
		graph.Tensor("t", graph.IntTensor("", nil, []int64{7})),
		graph.Graph("g", &onnxpb.GraphProto{Name: proto.String("inner")}),
	}}
	if graph.FindInt(n, "i", 1) != -3 || graph.FindFloat(n, "f", 1) != 0.5 || graph.FindStr(n, "s", "") != "SAME" ||
		!slices.Equal(graph.FindInts(n, "is"), []int64{4, 5}) ||
		!slices.Equal(graph.Find(n, "fs").Floats, []float32{1, 2}) || graph.Find(n, "t").T.GetDataType() != graph.Int64 ||
		graph.Find(n, "g").G.GetName() != "inner" {
		t.Errorf("%v", n)
	}
	if graph.FindInt(n, "x", 1) != 1 || graph.FindFloat(n, "x", 2) != 2 || graph.FindStr(n, "x", "d") != "d" ||
		!slices.Equal(graph.FindInts(n, "x", 3, 4), []int64{3, 4}) || graph.Find(n, "x") != nil {
		t.Error("defaults")
	}
	if graph.Find(n, "t").T.Name != nil {
		t.Error("a tensor that is called \"\"")
	}
	want := "INT INTS FLOAT FLOATS STRING TENSOR GRAPH"
	var got []string
	for _, a := range n.Attribute {
		got = append(got, a.GetType().String())
	}
	if strings.Join(got, " ") != want {
		t.Errorf("types %v", got)
	}
	m := tiny()
	m.Graph.Input[0].Type.GetTensorType().ElemType = elem(99)
	if in := m.Inputs()[0]; in.Type != "element type 99" || tiny().Inputs()[0].Type != "FLOAT" {
		t.Errorf("a type of later ONNX is called %q", in.Type)
	}
}

// TestBuilderNames: names that are made up meet none that is there, another domain is imported once, outputs can be
// left out.
func TestBuilderNames(t *testing.T) {
	b := graph.NewBuilder("names", 17)
	x := b.Input("Relu_1", graph.Float32, int64(2), "N", 3)
	for range 3 {
		x = b.Node("Relu", "", []string{x})
	}
	y := b.Node("org.example.Odd", "", []string{x})
	b.NodeN("org.example.Odd", []string{y, ""}, []string{"", "second", ""})
	b.NodeN("org.example.Odd", []string{y}, []string{"", "third"})
	b.Output("second", graph.Float32)
	m := b.Model()
	seen := map[string]bool{"Relu_1": true}
	for _, n := range m.Graph.Node[:4] {
		if seen[n.Output[0]] || n.Output[0] == "" || n.GetName() != n.Output[0] {
			t.Errorf("%v", n)
		}
		seen[n.Output[0]] = true
	}
	if odd := m.Graph.Node[4]; odd.GetOpType() != "Odd" || odd.GetDomain() != "org.example" || odd.GetName() != "second" {
		t.Errorf("%v", odd)
	}
	if s := fmt.Sprint(m.Inputs()[0].Shape); s != "[2 -1 3]" {
		t.Errorf("shape %s", s)
	}
	if o := m.OpsetImport; len(o) != 2 || o[1].GetDomain() != "org.example" || o[1].GetVersion() != 1 || m.Opset() != 17 {
		t.Errorf("imports %v", o)
	}
	m.OpsetImport = m.OpsetImport[1:]
	if m.Opset() != 0 {
		t.Errorf("operator set %d of a model that imports none", m.Opset())
	}
	defer func() {
		if recover() == nil {
			t.Error("half a pixel is a size")
		}
	}()
	graph.NewBuilder("size", 17).Input("x", graph.Float32, 1.5)
}
