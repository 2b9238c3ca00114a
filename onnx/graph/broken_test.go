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
	"finetune/onnx/inspect"
	"finetune/onnx/surgery"
)

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
		"Describe": func() error { _, err := inspect.Describe(m); return err },
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
