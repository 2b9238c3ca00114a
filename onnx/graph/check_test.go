package graph_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// write puts a model, sound or not, into a file.
func write(t *testing.T, dir string, m *onnxpb.ModelProto) string {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "broken.onnx")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func node(op string, inputs, outputs []string) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: &op, Input: inputs, Output: outputs, Name: &outputs[0]}
}

func TestBrokenModelsSayWhatAndWhere(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		damage     func(g *onnxpb.GraphProto)
	}{
		{"missing tensor", `node "late" (Relu): input "absent"`, func(g *onnxpb.GraphProto) {
			g.Node = append(g.Node, node("Relu", []string{"absent"}, []string{"late"}))
		}},
		{"cycle", `depends on its own output`, func(g *onnxpb.GraphProto) {
			g.Node = append(g.Node, node("Add", []string{"b", "image"}, []string{"a"}),
				node("Relu", []string{"a"}, []string{"b"}))
		}},
		{"tensor made twice", `node "conv" (Relu): tensor "conv" is made twice`, func(g *onnxpb.GraphProto) {
			g.Node = append(g.Node, node("Relu", []string{"image"}, []string{"conv"}))
		}},
		{"initializer twice", `tensor "conv.weight" is there twice`, func(g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, g.Initializer[0])
		}},
		{"weights cut short", `tensor "conv.weight": dimensions [4 3 3 3] do not fit`, func(g *onnxpb.GraphProto) {
			g.Initializer[0].RawData = g.Initializer[0].RawData[:100]
		}},
		{"dimensions beyond int64", `impossible dimensions`, func(g *onnxpb.GraphProto) {
			g.Initializer[0].Dims = []int64{1 << 40, 1 << 40}
		}},
		{"output of nothing", `output "absent"`, func(g *onnxpb.GraphProto) {
			g.Output[0].Name = proto.String("absent")
		}},
		{"missing tensor in a branch", `node "choice" (If): node "inner" (Relu): input "absent"`, func(g *onnxpb.GraphProto) {
			n := node("If", []string{"image"}, []string{"choice"})
			n.Attribute = []graph.Attr{graph.Graph("then_branch",
				&onnxpb.GraphProto{Node: []*onnxpb.NodeProto{node("Relu", []string{"absent"}, []string{"inner"})}})}
			g.Node = append(g.Node, n)
		}},
		{"branches without end", `nested more than`, func(g *onnxpb.GraphProto) {
			for range 30 {
				n := node("If", []string{"image"}, []string{"choice"})
				n.Attribute = []graph.Attr{graph.Graph("then_branch", &onnxpb.GraphProto{Node: g.Node})}
				g.Node = []*onnxpb.NodeProto{n}
			}
		}},
		{"too many nodes", `more than 200000 nodes`, func(g *onnxpb.GraphProto) {
			g.Node = slices.Repeat([]*onnxpb.NodeProto{{}}, 200_001)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := tiny()
			tt.damage(m.Graph)
			path := write(t, t.TempDir(), m.ModelProto)
			_, err := graph.Read(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v; want %q and the path", err, tt.want)
			}
			if failure.KindOf(err) != failure.DataKind {
				t.Errorf("kind %d, want bad data", failure.KindOf(err))
			}
		})
	}
}

func TestNotAModel(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"empty.onnx": "",
		"text.onnx": "version https://git-lfs.github.com/spec/v1", "zip.onnx": "PK\x03\x04\x14a/data.pkl",
		"pickle.onnx": "\x80\x02\x8a\x0a", "tensors.onnx": "\x10\x00\x00\x00\x00\x00\x00\x00{\"a\": 1}",
		"other.onnx": "\x89PNG\r\n"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := graph.Read(path); err == nil || !strings.Contains(err.Error(), "not an ONNX model") {
			t.Errorf("%s: %v", name, err)
		} else if name == "text.onnx" && !strings.Contains(err.Error(), "git lfs pull") {
			t.Errorf("a pointer: %v", err)
		} else if weights := strings.Contains("zip.onnx pickle.onnx tensors.onnx", name); weights !=
			strings.Contains(err.Error(), "finetune import") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := graph.Read(filepath.Join(dir, "absent.onnx")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	if _, err := graph.Read(dir); err == nil {
		t.Error("a folder was read")
	}
	huge := filepath.Join(dir, "huge.onnx")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, graph.MaxBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := graph.Read(huge); err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("huge file: %v", err)
	}
}

func TestSortedPutsMakersFirst(t *testing.T) {
	m := tiny()
	slices.Reverse(m.Graph.Node)
	nodes, err := m.Sorted()
	if err != nil || nodes[0].GetOpType() != "Conv" || nodes[1].GetOpType() != "Relu" {
		t.Errorf("%v, %v", nodes, err)
	}
}

// external is tiny with its weights said to lie at location.
func external(location, offset, length string) *onnxpb.ModelProto {
	m := tiny()
	w := m.Graph.Initializer[0]
	w.RawData, w.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
	for _, e := range [][2]string{{"location", location}, {"offset", offset}, {"length", length}} {
		if e[1] != "" {
			w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: &e[0], Value: &e[1]})
		}
	}
	return m.ModelProto
}

func TestExternalData(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.bin")
	dir := t.TempDir()
	weights := make([]byte, 3*432)
	for i := range weights {
		weights[i] = byte(i)
	}
	for _, err := range []error{
		os.WriteFile(outside, weights, 0o600),
		os.WriteFile(filepath.Join(dir, "w.bin"), weights, 0o600),
		os.Symlink(outside, filepath.Join(dir, "link.bin")),
		os.Symlink("w.bin", filepath.Join(dir, "near.bin")),
		os.Mkdir(filepath.Join(dir, "folder"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, location, offset, length, want string }{
		{"part of a file", "w.bin", "432", "432", ""},
		{"to the end", "w.bin", "864", "", ""},
		{"link inside the folder", "near.bin", "0", "432", ""},
		{"parent folder", "../" + filepath.Base(filepath.Dir(outside)) + "/secret.bin", "", "432",
			"outside the model's folder"},
		{"hidden parent folder", "folder/../../x", "", "432", "outside the model's folder"},
		{"absolute", outside, "", "432", "outside the model's folder"},
		{"link out of the folder", "link.bin", "", "432", "must lie in the model's folder"},
		{"absent", "absent.bin", "", "432", "no such file"},
		{"folder", "folder", "", "432", "not a regular file"},
		{"past the end", "w.bin", "1000", "432", "has 1296 bytes, bytes 1000 to 1432 are wanted"},
		{"overflow", "w.bin", "9223372036854775807", "432", "cut short"},
		{"wrong length", "w.bin", "", "8", "do not fit"},
		{"negative offset", "w.bin", "-1", "432", "negative offset"},
		{"no number", "w.bin", "x", "432", "bad offset"},
		{"no location", "", "", "432", "no location"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, dir, external(tt.location, tt.offset, tt.length))
			m, err := graph.Read(path)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("got %v; want %q and the path", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			w := m.Graph.Initializer[0]
			if len(w.RawData) != 432 || w.DataLocation != nil || w.ExternalData != nil {
				t.Errorf("not brought in: %d bytes, %v", len(w.RawData), w.ExternalData)
			}
		})
	}
}

func TestParseKeepsExternalReferences(t *testing.T) {
	want := external("w.bin", "0", "432")
	data, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	m, err := graph.Parse(data)
	if err != nil || !proto.Equal(m.ModelProto, want) {
		t.Errorf("%v", err)
	}
}

func TestWriteThenRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "tiny.onnx")
	m := tiny()
	m.SetMeta("finetune.size", "32")
	m.SetMeta("finetune.size", "64")
	if err := m.Write(path); err != nil {
		t.Fatal(err)
	}
	back, err := graph.Read(path)
	if err != nil || !proto.Equal(back.ModelProto, m.ModelProto) {
		t.Fatalf("differs: %v", err)
	}
	if v, ok := back.Meta("finetune.size"); v != "64" || !ok || len(back.MetadataProps) != 1 {
		t.Errorf("metadata %v", back.MetadataProps)
	}
}
