package surgery_test

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/inspect"
	"finetune/onnx/surgery"
)

// FuzzParse feeds broken files to everything that reads a graph: an error is
// fine, a panic or a model that changes on its way through is not.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(models, "graph_*.onnx"))
	if err != nil || len(files) == 0 {
		f.Fatal(len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{})
	f.Add([]byte{0x3a, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := graph.Parse(data)
		if err != nil {
			return
		}
		written, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := graph.Parse(written)
		if err != nil || !proto.Equal(m.ModelProto, again.ModelProto) {
			t.Fatalf("the written model differs: %v", err)
		}
		info, err := inspect.Describe(m)
		if err != nil {
			return
		}
		cut := info.Cut
		if cut == "" && len(info.Outputs) > 0 {
			cut = info.Outputs[0].Name
		}
		body, err := surgery.Features(m, cut)
		if err != nil {
			return
		}
		if err := body.Check(); err != nil {
			t.Fatalf("features of a sound model are broken: %v", err)
		}
		if after, _ := m.Bytes(); string(after) != string(written) {
			t.Fatal("inspecting the model changed it")
		}
	})
}
