package graph_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/internal/faults"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
	"finetune/onnx/surgery"
)

// methods is everything that looks at a whole graph.
var methods = map[string]func(m *graph.Model) error{
	"FrozenOutputs": func(m *graph.Model) error { _, err := surgery.FrozenOutputs(m, nil); return err },
	"After":         func(m *graph.Model) error { _, err := surgery.After(m, "conv", nil); return err },
	"Sorted":        func(m *graph.Model) error { _, err := m.Sorted(); return err },
	"Shapes":        func(m *graph.Model) error { _, err := shape.Shapes(m, nil); return err },
	"FindCut":       func(m *graph.Model) error { _, _, err := surgery.FindCut(m); return err },
	"CutAt":         func(m *graph.Model) error { _, err := surgery.CutAt(m, "conv"); return err },
	"Features":      func(m *graph.Model) error { _, err := surgery.Features(m, "conv"); return err },
	"Groups":        func(m *graph.Model) error { _, err := surgery.Groups(m); return err },
	"Describe":      func(m *graph.Model) error { _, err := surgery.Describe(m); return err },
	"CheckDivisors": func(m *graph.Model) error { return surgery.CheckDivisors(m) },
	"Check":         (*graph.Model).Check,
}

// TestGraphsInCircles: a model built by hand, which nothing has checked, is refused by all that need an order.
func TestGraphsInCircles(t *testing.T) {
	for name, method := range methods {
		m := tiny()
		m.Graph.Node = append(m.Graph.Node, node("Add", []string{"b", "image"}, []string{"a"}),
			node("Relu", []string{"a"}, []string{"b"}))
		if err := method(m); failure.KindOf(err) != failure.DataKind ||
			!strings.Contains(fmt.Sprint(err), "depends on its own output") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFunctionsInCircles: so is a function that calls itself, by all that look into functions.
func TestFunctionsInCircles(t *testing.T) {
	for _, name := range []string{"FindCut", "CutAt", "Features", "Describe", "CheckDivisors"} {
		m := tiny()
		call := node("f", []string{"x"}, []string{"y"})
		call.Domain = proto.String("pkg")
		m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("f"), Domain: proto.String("pkg"), Input: []string{"x"},
			Output: []string{"y"}, Node: []*onnxpb.NodeProto{call}}}
		again := proto.Clone(call).(*onnxpb.NodeProto)
		again.Input, again.Output = []string{"conv"}, []string{"called"}
		m.Graph.Node = append(m.Graph.Node, again)
		if err := methods[name](m); failure.KindOf(err) != failure.DataKind || !strings.Contains(fmt.Sprint(err), "deep") {
			t.Errorf("%s: %v", name, err)
		}
		if err := surgery.CheckInference(m); failure.KindOf(err) != failure.DataKind ||
			!strings.Contains(fmt.Sprint(err), "nested too deep") {
			t.Errorf("CheckInference: %v", err)
		}
	}
}

// TestNodesWithoutInputsOrOutputs: a file may hold any; none makes a method panic or run for ever.
func TestNodesWithoutInputsOrOutputs(t *testing.T) {
	ops := []string{"Identity", "Flatten", "Add", "Div", "Conv", "Reshape", "Gather", "Slice", "BatchNormalization",
		"Dropout", "Constant", "Concat", "Split", "MatMul", "Shape", "Transpose", "ReduceMean", "If"}
	for _, op := range ops {
		for _, ends := range [][2][]string{{nil, nil}, {nil, {""}}, {{""}, {""}}, {{"conv"}, nil}, {nil, {"made"}},
			{{""}, {"made"}}} {
			m := tiny()
			m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: &op, Input: ends[0], Output: ends[1]})
			if slices.Contains(ends[1], "made") { // and a node that leads back to one that makes ""
				m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: &op, Output: []string{""}},
					node("Add", []string{"conv", "made"}, []string{"sum"}))
			}
			if err := m.Check(); err != nil {
				t.Fatalf("%s %v: %v", op, ends, err)
			}
			for _, method := range methods {
				method(m)
			}
			surgery.CheckInference(m)
			surgery.UnshareInitializers(m)
		}
	}
}

// TestLimitsOfGraphs: as many nodes and graphs inside graphs as are allowed, and one more.
func TestLimitsOfGraphs(t *testing.T) {
	for n, sound := range map[int]bool{200_000: true, 200_001: false} {
		m := tiny()
		m.Graph.Node = slices.Concat(m.Graph.Node, slices.Repeat([]*onnxpb.NodeProto{{}}, n-len(m.Graph.Node)))
		if err := m.Check(); (err == nil) != sound {
			t.Errorf("%d nodes: %v", n, err)
		}
		if err := surgery.CheckInference(m); (err == nil) != sound {
			t.Errorf("%d nodes: %v", n, err)
		}
	}
	for depth, sound := range map[int]bool{16: true, 17: false} {
		m := tiny()
		for range depth {
			n := node("If", []string{"image"}, []string{"choice"})
			n.Attribute = []graph.Attr{graph.Graph("then_branch", &onnxpb.GraphProto{Node: m.Graph.Node})}
			m.Graph.Node = []*onnxpb.NodeProto{n}
		}
		m.Graph.Output = nil
		if err := m.Check(); (err == nil) != sound {
			t.Errorf("graphs %d deep: %v", depth, err)
		}
		if err := surgery.CheckInference(m); (err == nil) != sound {
			t.Errorf("graphs %d deep: %v", depth, err)
		}
	}
	long := &onnxpb.FunctionProto{Name: proto.String("long"), Domain: proto.String("pkg"), Input: []string{"x"},
		Node: slices.Repeat([]*onnxpb.NodeProto{{}}, 20_000)}
	for calls, sound := range map[int]bool{10: true, 11: false} {
		b := graph.NewBuilder("calls", 17)
		x := b.Input("x", graph.Float32)
		for range calls {
			b.NodeN("pkg.long", []string{x}, nil)
		}
		m := b.Model()
		m.Functions = []*onnxpb.FunctionProto{long}
		if _, err := m.Inline(); (err == nil) != sound || !sound && !strings.Contains(err.Error(), "more than 200000 nodes") {
			t.Errorf("%d nodes once written out: %v", 20_000*calls, err)
		}
	}
	for depth, sound := range map[int]bool{16: true, 17: false} { // functions that call each other
		b := graph.NewBuilder("calls", 17)
		b.Output(b.Node("pkg.f0", "y", []string{b.Input("x", graph.Float32)}), graph.Float32)
		m := b.Model()
		for i := range depth {
			n := node(fmt.Sprint("f", i+1), []string{"x"}, []string{"y"})
			if n.Domain = proto.String("pkg"); i == depth-1 {
				n.OpType, n.Domain = proto.String("Relu"), nil
			}
			m.Functions = append(m.Functions,
				&onnxpb.FunctionProto{Name: proto.String(fmt.Sprint("f", i)), Domain: proto.String("pkg"), Input: []string{"x"},
					Output: []string{"y"}, Node: []*onnxpb.NodeProto{n}})
		}
		if flat, err := m.Inline(); (err == nil) != sound || sound && flat.Graph.Node[0].GetOpType() != "Relu" {
			t.Errorf("functions %d deep: %v", depth, err)
		}
		if err := surgery.CheckInference(m); (err == nil) != sound {
			t.Errorf("functions %d deep: %v", depth, err)
		}
	}
}

// TestBrokenFunctions: functions are checked as graphs are, and named.
func TestBrokenFunctions(t *testing.T) {
	for name, c := range map[string]struct {
		f    *onnxpb.FunctionProto
		want string
	}{
		"reads what nothing makes": {&onnxpb.FunctionProto{Node: []*onnxpb.NodeProto{node("Relu", []string{"conv"},
			[]string{"y"})}}, `input "conv" is made by no node`},
		"gives what nothing makes": {&onnxpb.FunctionProto{Output: []string{"conv"}},
			`output "conv" is made by no node`},
		"makes its own input": {&onnxpb.FunctionProto{Input: []string{"x"},
			Node: []*onnxpb.NodeProto{node("Relu", []string{"x"}, []string{"x"})}}, `"x" is made twice`},
		"is sound": {&onnxpb.FunctionProto{Input: []string{"x"}, Output: []string{"y"},
			Node: []*onnxpb.NodeProto{node("Relu", []string{"x"}, []string{"y"})}}, ""},
		"is too long with the main part": {&onnxpb.FunctionProto{Node: slices.Repeat([]*onnxpb.NodeProto{{}}, 199_999)},
			"more than 200000 nodes"},
	} {
		c.f.Name, c.f.Domain = proto.String("f"), proto.String("pkg")
		m := tiny()
		m.Functions = []*onnxpb.FunctionProto{c.f}
		err := m.Check()
		if c.want == "" && err != nil ||
			c.want != "" && (failure.KindOf(err) != failure.DataKind || !strings.Contains(fmt.Sprint(err), "function pkg.f: ") ||
				!strings.Contains(fmt.Sprint(err), c.want)) {
			t.Errorf("a function that %s: %v", name, err)
		}
	}
}

// TestMoreThanAFileHolds: a model of more than 2 GB cannot be written, and says so before anything is.
func TestMoreThanAFileHolds(t *testing.T) {
	m := tiny()
	large := &onnxpb.TensorProto{RawData: make([]byte, 1<<24)}
	m.Graph.Initializer = append(m.Graph.Initializer, slices.Repeat([]*onnxpb.TensorProto{large}, 128)...)
	path := filepath.Join(t.TempDir(), "huge.onnx")
	for name, f := range map[string]func() error{
		"Bytes":  func() error { _, err := m.Bytes(); return err },
		"Digest": func() error { _, err := m.Digest(); return err },
		"write":  func() error { return m.Write(path) }, "AddChecksum": m.AddChecksum,
		"Describe": func() error { return methods["Describe"](m) },
		"Parse":    func() error { _, err := graph.Parse(make([]byte, graph.MaxBytes+1)); return err },
	} {
		if err := f(); failure.KindOf(err) != failure.DataKind || !strings.Contains(fmt.Sprint(err), "the limit") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
	if len(m.MetadataProps) != 0 {
		t.Errorf("a checksum of nothing: %v", m.MetadataProps)
	}
}

// TestReadingLeavesNoFileOpen: neither the model nor the data beside it.
func TestReadingLeavesNoFileOpen(t *testing.T) {
	open := func() int { return faults.OpenFiles(t) }
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which closes files too
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "w.bin"), make([]byte, 432), 0o600); err != nil {
		t.Fatal(err)
	}
	path, before := write(t, dir, external("w.bin", "", "")), open()
	for range 20 {
		if _, err := graph.Read(path); err != nil {
			t.Fatal(err)
		}
	}
	if after := open(); after >= before+20 {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// TestLabels: a node without a name is called by what it makes; a model without a file by its graph.
func TestLabels(t *testing.T) {
	m := tiny()
	m.Graph.Node = append(m.Graph.Node,
		&onnxpb.NodeProto{OpType: proto.String("Relu"), Input: []string{"absent"}, Output: []string{"late"}})
	for _, want := range []string{`graph: model "tiny": node "late" (Relu): input "absent"`,
		`graph: model: node "" (Relu)`, `graph: a.onnx: node "" (Relu)`} {
		if err := m.Check(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
		if m.Graph.Name == nil {
			m.Path = "a.onnx"
		}
		m.Graph.Name, m.Graph.Node[2].Output = nil, nil
	}
	if _, err := graph.Read(t.TempDir()); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(fmt.Sprint(err), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}
