package graph_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// TestDataBesideTheModelIsReadEverywhere: of attributes, branches, sparse weights and functions too.
func TestDataBesideTheModelIsReadEverywhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "w.bin"), []byte{0, 0, 128, 63}, 0o600); err != nil {
		t.Fatal(err)
	}
	var all []*onnxpb.TensorProto
	outside := func(name string) *onnxpb.TensorProto {
		w := external("w.bin", "", "4").Graph.Initializer[0]
		w.Name, w.Dims = &name, []int64{1}
		all = append(all, w)
		return w
	}
	constant := func(name string) *onnxpb.NodeProto {
		n := node("Constant", nil, []string{name})
		n.Attribute = []graph.Attr{graph.Tensor("value", outside("")),
			{Name: proto.String("more"), Tensors: []*onnxpb.TensorProto{outside("")}}}
		return n
	}
	m := tiny()
	inner := &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{outside("a")}, Node: []*onnxpb.NodeProto{constant("b")},
		SparseInitializer: []*onnxpb.SparseTensorProto{{Values: outside("c"), Indices: outside("d")}, {}}}
	choose := node("If", []string{"image"}, []string{"choice"})
	choose.Attribute = []graph.Attr{graph.Graph("then_branch", inner)}
	m.Graph.Node = append(m.Graph.Node, choose, constant("e"))
	m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("f"), Domain: proto.String("pkg"),
		Node: []*onnxpb.NodeProto{constant("g")}}}
	back, err := graph.Read(write(t, dir, m.ModelProto))
	if err != nil {
		t.Fatal(err)
	}
	data, err := back.Bytes()
	if err != nil || strings.Contains(string(data), "w.bin") ||
		strings.Count(string(data), "\x00\x00\x80\x3f") != len(all) {
		t.Errorf("%d of %d tensors are brought in, %v", strings.Count(string(data), "\x00\x00\x80\x3f"), len(all), err)
	}
}

// TestLimitsOfDataBesideTheModel: bytes to the last, none, and more than is read at all.
func TestLimitsOfDataBesideTheModel(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "w.bin")
	for _, c := range []struct {
		dims           []int64
		offset, length string
		size           int64
		want           string
	}{
		{[]int64{108}, "0", "432", 432, ""}, {[]int64{108}, "1", "432", 432, "cut short"},
		{[]int64{108}, "1", "432", 433, ""},
		{[]int64{108}, "864", "0", 1296, "do not fit"}, {[]int64{0}, "432", "0", 432, ""}, {[]int64{0}, "432", "", 432, ""},
		{[]int64{0}, "433", "", 432, "cut short"},
		{[]int64{1 << 29}, "0", "2147483648", 1 << 31, "use a smaller model"}, {[]int64{108}, "0", "-", 432, "bad length"},
	} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, c.size); err != nil {
			t.Fatal(err)
		}
		m := external("w.bin", c.offset, c.length)
		m.Graph.Initializer[0].Dims = c.dims
		if _, err := graph.Read(write(t, dir, m)); c.want == "" && err != nil ||
			c.want != "" && !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v at %s, %s bytes of %d: %v; want %q", c.dims, c.offset, c.length, c.size, err, c.want)
		}
	}
}

func TestUpdateInitializers(t *testing.T) {
	m := tiny()
	old := m.Graph.Initializer[0]
	v := make([]float32, 108)
	v[107] = 3
	if err := m.UpdateInitializers(map[string][]float32{"conv.weight": v}); err != nil {
		t.Fatal(err)
	}
	got, err := graph.FloatsOf(m.Initializers()["conv.weight"])
	if err != nil || got[107] != 3 {
		t.Errorf("%v, %v", got, err)
	}
	if was, _ := graph.FloatsOf(old); was[107] != 0 {
		t.Error("the old tensor changed")
	}
	for name, bad := range map[string][]float32{"absent": {1}, "conv.weight": {1}} {
		if err := m.UpdateInitializers(map[string][]float32{name: bad}); err == nil {
			t.Errorf("%s: %d values accepted", name, len(bad))
		}
	}
}

// TestUpdatesAreWholeOrNothing: and keep what is said of a weight.
func TestUpdatesAreWholeOrNothing(t *testing.T) {
	b := graph.NewBuilder("update", 17)
	weight(b, "a", graph.Float32, 2)
	weight(b, "b", graph.Float16, 2)
	m := b.Model()
	m.Graph.Initializer[0].DocString = proto.String("said")
	m.Graph.Initializer[0].MetadataProps = []*onnxpb.StringStringEntryProto{{Key: proto.String("k")}}
	for _, bad := range []string{"b", "absent"} {
		if err := m.UpdateInitializers(map[string][]float32{"a": {1, 2}, bad: {1, 2}}); err == nil {
			t.Errorf("%s was replaced", bad)
		}
		if v, _ := graph.FloatsOf(m.Initializers()["a"]); !slices.Equal(v, []float32{0, 0}) {
			t.Errorf("a became %v beside an error", v)
		}
	}
	if err := m.UpdateInitializers(map[string][]float32{"a": {1, 2}}); err != nil {
		t.Fatal(err)
	}
	if w := m.Graph.Initializer[0]; w.GetDocString() != "said" || len(w.MetadataProps) != 1 {
		t.Errorf("%v", w)
	}
}
