package bodies

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/home"
	"finetune/internal/onnxtest"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/trainable"
	"finetune/onnx/weights"
)

// install puts seeded weights where the fetch command would put real ones.
func install(t *testing.T, name, file string, seed uint64) string {
	t.Helper()
	state, err := Seeded(name, seed)
	if err != nil {
		t.Fatal(err)
	}
	path := home.Path("weights", file)
	if err := durable.Write(path, func(w io.Writer) error { return weights.WriteSafetensors(w, state, nil) }); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultBody(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	pin(t, "")
	if _, err := Resolve("", Override{}); !errors.Is(err, ErrNotInstalled) ||
		!strings.Contains(err.Error(), "finetune fetch efficientnet-lite0") {
		t.Errorf("nothing installed: %v", err)
	}
	install(t, "efficientnet-lite0", "efficientnet-lite0.pth", 1) // the content tells the format
	b, err := Resolve("", Override{})
	if err != nil {
		t.Fatal(err)
	}
	if b.Spec.Name != "efficientnet-lite0" || b.Path != home.Path("bodies", "efficientnet-lite0.onnx") {
		t.Errorf("with Lite0 installed: %s at %s", b.Spec.Name, b.Path)
	}
	defer func(d []string) { Defaults = d }(Defaults)
	Defaults = []string{"efficientnet-lite1", "efficientnet-lite0"} // the rule, with smaller files
	install(t, "efficientnet-lite1", "efficientnet-lite1.safetensors", 1)
	if b, err = Resolve("", Override{}); err != nil || b.Spec.Name != "efficientnet-lite1" {
		t.Errorf("with the preferred one installed: %s, %v", b.Spec.Name, err)
	}
}

func TestKnownBodyIsBuiltOnceAndAgainWhenStale(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	pin(t, "")
	const name = "efficientnet-lite0"
	file := install(t, name, name+".pth", 1)
	first, err := Resolve(name, Override{})
	if err != nil {
		t.Fatal(err)
	}
	stamp := func() time.Time {
		info, err := os.Stat(first.Path)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	old := stamp()
	again, err := Resolve(name, Override{})
	if err != nil || !reflect.DeepEqual(first, again) || stamp() != old {
		t.Errorf("second time %+v, %v; built again: %v", again.Spec, err, stamp() != old)
	}
	if err := os.WriteFile(first.Path, []byte("cut short"), 0o666); err != nil {
		t.Fatal(err)
	}
	mended, err := Resolve(name, Override{})
	if err != nil || mended.Spec.Digest != first.Spec.Digest {
		t.Errorf("after damage: digest %.8s, %v; want %.8s", mended.Spec.Digest, err, first.Spec.Digest)
	}
	install(t, name, name+".pth", 2)
	before := stamp().Add(-time.Hour) // as `cp -p` and rsync leave it: times say nothing
	if err := os.Chtimes(file, before, before); err != nil {
		t.Fatal(err)
	}
	renewed, err := Resolve(name, Override{})
	if err != nil || renewed.Spec.Digest == first.Spec.Digest {
		t.Errorf("after new weights: digest %.8s as before, %v", renewed.Spec.Digest, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if alone, err := Resolve(name, Override{}); err != nil || alone.Spec.Digest != renewed.Spec.Digest {
		t.Errorf("without weights: %v", err)
	}
}

func TestImportedBodyResolvesByFile(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	file := install(t, "efficientnet-lite1", "any.safetensors", 1)
	out := filepath.Join(t.TempDir(), "mine.onnx")
	spec, err := Import("efficientnet-lite1", file, out)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Resolve(out, Override{})
	if err != nil || !reflect.DeepEqual(b, Body{out, spec}) {
		t.Errorf("resolved %+v, %v\nimported %+v", b, err, spec)
	}
	if spec.Size != 240 || spec.Channels != 1280 || spec.Licence != "Apache-2.0" || len(spec.Weights) != 64 {
		t.Errorf("spec %+v", spec)
	}
	if b, err = Resolve(out, Override{Size: 160, Mean: []float32{0, 0, 0}}); err != nil || b.Spec.Size != 160 ||
		b.Spec.Mean != [3]float32{} || b.Spec.Std != spec.Std {
		t.Errorf("overridden: %+v, %v", b.Spec, err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(out, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(out, Override{}); err == nil || failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), SpecPath(out)) {
		t.Errorf("changed file: %v", err)
	}
	if _, err := Import("resnet18", file, out); err == nil || !strings.Contains(err.Error(), file) ||
		!strings.Contains(err.Error(), "missing conv1.weight") {
		t.Errorf("weights of another network: %v", err)
	}
}

// foreign is a small network as another tool might export it.
func foreign(t *testing.T, nhwc bool, batch, size any) string {
	t.Helper()
	b := graph.NewBuilder("foreign", 13)
	var x string
	if nhwc {
		x = b.Input("in", graph.Float32, batch, size, size, 3)
		x = b.Node("Transpose", "chw", []string{x}, graph.Ints("perm", 0, 3, 1, 2))
	} else {
		x = b.Input("in", graph.Float32, batch, 3, size, size)
	}
	for i, in := range []int64{3, 4, 4, 4} {
		w := make([]float32, 4*in*9)
		for j := range w {
			w[j] = float32(j%7)/7 - 0.4
		}
		name := string(rune('a' + i))
		x = b.Node("Conv", name, []string{x, b.Init(name+".w", []int64{4, in, 3, 3}, w)}, graph.Ints("strides", 2, 2),
			graph.Ints("pads", 1, 1, 1, 1))
	}
	x = b.Node("Relu", "last", []string{x})
	x = b.Node("Flatten", "flat", []string{b.Node("GlobalAveragePool", "pool", []string{x})})
	b.Output(b.Node("Gemm", "out", []string{x, b.Init("fc", []int64{4, 2}, make([]float32, 8))}), graph.Float32, batch, 2)
	path := filepath.Join(t.TempDir(), "foreign.onnx")
	if err := b.Model().Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

var described = Override{Size: 32, Mean: []float32{0.5, 0.5, 0.5}, Std: []float32{0.5, 0.5, 0.5}}

func TestForeignBodyMustBeDescribed(t *testing.T) {
	open, fixed := foreign(t, false, "N", "S"), foreign(t, false, 1, 32)
	for _, tt := range []struct {
		name, path string
		o          Override
		want       string
	}{
		{"nothing", open, Override{}, "--mean R,G,B --std R,G,B --size PIXELS"},
		{"no std", open, Override{Size: 32, Mean: described.Mean}, "add --std R,G,B ("},
		{"one number", open, Override{Size: 32, Mean: []float32{0.5}, Std: described.Std}, "--mean has 1"},
		{"zero std", open, Override{Size: 32, Mean: described.Mean, Std: []float32{1, 1, 0}}, "above 0"},
		{"wrong layout", open, Override{Size: 32, Mean: described.Mean, Std: described.Std, Layout: "NHWC"},
			"is NCHW, not NHWC"},
		{"unknown layout", open, Override{Size: 32, Mean: described.Mean, Std: described.Std, Layout: "CHWN"},
			`layout "CHWN"`},
		{"wrong size", fixed, Override{Size: 64, Mean: described.Mean, Std: described.Std}, "32x32, not 64"},
		{"absent", filepath.Join(t.TempDir(), "none.onnx"), described, "none.onnx"},
		{"weights", "w.pth", Override{}, "finetune import"},
		{"unknown name", "resnet99", Override{}, "efficientnet-lite0, efficientnet-lite1"},
		{"bad seed", "seed:resnet18:x", Override{}, "seed:NAME:NUMBER"},
	} {
		if _, err := Resolve(tt.path, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
	b, err := Resolve(fixed, Override{Mean: described.Mean, Std: described.Std}) // the graph states the rest
	if err != nil || b.Spec.Size != 32 || b.Spec.Layout != NCHW {
		t.Errorf("fixed size: %+v, %v", b.Spec, err)
	}
}

func TestForeignBodyIsCompleted(t *testing.T) {
	path := foreign(t, false, "N", "S")
	b, err := Resolve(path, described)
	if err != nil {
		t.Fatal(err)
	}
	want := []Group{{"early", []string{"a.w", "b.w", "c.w"}}, {"middle", []string{"d.w"}}, {"head", nil}}
	if b.Spec.Cut != "last" || b.Spec.Channels != 4 || !reflect.DeepEqual(b.Spec.Groups, want) {
		t.Errorf("cut %q, %d channels, groups %v", b.Spec.Cut, b.Spec.Channels, b.Spec.Groups)
	}
	if err := WriteSpec(SpecPath(path), b.Spec); err != nil {
		t.Fatal(err)
	}
	again, err := Resolve(path, Override{})
	if err != nil || !reflect.DeepEqual(again, b) {
		t.Errorf("from its description: %+v, %v\nfrom flags: %+v", again, err, b)
	}
	o := Override{Cut: "c", Split: "b"}
	if b, err = Resolve(path, o); err != nil || b.Spec.Cut != "c" || len(b.Spec.Groups) != 3 || b.Spec.Group("b.w") != 1 {
		t.Errorf("--cut c --split b: %+v, %v", b.Spec, err)
	}
	o = Override{Cut: "flat"}
	if b, err = Resolve(path, o); err != nil || b.Spec.Kind != VectorFeatures || b.Spec.Features() != 4 {
		t.Errorf("--cut flat: %+v, %v", b.Spec, err)
	}
}

// PyTorch's exporter writes equal tensors once and names the rest by Identities;
// each trains on its own and so needs its layer group.
func TestTiedTensorsHaveGroups(t *testing.T) {
	m, err := graph.Read(foreign(t, false, "N", "S"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Graph.Node {
		if n.GetName() == "d" || n.Output[0] == "d" {
			n.Input[1] = "d.tied"
		}
	}
	tie := &onnxpb.NodeProto{Name: proto.String("tie"), OpType: proto.String("Identity"), Input: []string{"c.w"},
		Output: []string{"d.tied"}}
	m.Graph.Node = append([]*onnxpb.NodeProto{tie}, m.Graph.Node...)
	path := filepath.Join(t.TempDir(), "tied.onnx")
	if err := m.Write(path); err != nil {
		t.Fatal(err)
	}
	b, err := Resolve(path, described)
	if err != nil {
		t.Fatal(err)
	}
	features, err := FeatureModel(b)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := trainable.Groups(features)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		for _, name := range g.Parameters {
			if k := b.Spec.Group(name); k < 0 || b.Spec.Groups[k].Name != g.Name {
				t.Errorf("%s is in group %d of %v, want %s", name, k, b.Spec.Groups, g.Name)
			}
		}
	}
}

func TestLayoutsGiveTheSameFeatures(t *testing.T) {
	onnxtest.Start(t)
	var results [][]float32
	for _, nhwc := range []bool{false, true} {
		b, err := Resolve(foreign(t, nhwc, "N", "S"), described)
		if err != nil {
			t.Fatal(err)
		}
		m, err := FeatureModel(b)
		if err != nil {
			t.Fatal(err)
		}
		y, shape := run(t, m, image(32, 2), 2, 32)
		if shape[0] != 2 || shape[1] != 8 {
			t.Errorf("features %v, want [2 8]", shape)
		}
		results = append(results, y)
	}
	if !reflect.DeepEqual(results[0], results[1]) {
		t.Errorf("NCHW gives %v\nNHWC gives %v", results[0], results[1])
	}
}

func TestSpecErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"size":224,"mean":[0,0,0],"std":[1,1,1],"means":[1]}`, "unknown field"},
		{`{"size":224,"mean":[0],"std":[1,1,1]}`, "mean has 1 number"},
		{`{"size":224,"mean":[0,0,0]}`, "std 0"},
		{`{"mean":[0,0,0],"std":[1,1,1]}`, "size 0"},
		{`{"size":224,"mean":[0,0,0],"std":[1,-1,1]}`, "above 0"},
		{`{"size":224,"mean":[0,0,0],"std":[1,1,1],"layout":"CHW"}`, "layout"},
		{`{"size":224,"mean":[0,0,0],"std":[1,1,1]} {}`, "text after"},
		{`[]`, "cannot unmarshal"},
	} {
		path := filepath.Join(t.TempDir(), "b.json")
		if err := os.WriteFile(path, []byte(tt.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSpec(path); err == nil || !strings.Contains(err.Error(), tt.want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error with %q", tt.text, err, tt.want)
		}
	}
}

func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"name":"a","size":224,"mean":[0,0,0],"std":[1,1,1],"layout":"NCHW","groups":[{"name":"early","layers":["x"]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSpec(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		t2, err := parseSpec(again)
		if err != nil || !reflect.DeepEqual(s, t2) {
			third, _ := json.Marshal(t2)
			if !bytes.Equal(again, third) {
				t.Fatalf("%s became %s, %v", again, third, err)
			}
		}
	})
}

// A body of grey pictures is told before any photograph is looked at.
func TestBodiesOfOneChannel(t *testing.T) {
	for layout, shape := range map[string][]any{NCHW: {"N", 1, 8, 8}, NHWC: {"N", 8, 8, 1}} {
		b := graph.NewBuilder("grey", 17)
		x := b.Input("image", graph.Float32, shape...)
		if layout == NHWC {
			x = b.Node("Transpose", "nchw", []string{x}, graph.Ints("perm", 0, 3, 1, 2))
		}
		x = b.Node("Conv", "map", []string{x, b.Init("w", []int64{2, 1, 1, 1}, []float32{1, 2})})
		b.Output(b.Node("GlobalAveragePool", "pool", []string{x}), graph.Float32, "N", 2, 1, 1)
		path := filepath.Join(t.TempDir(), "grey.onnx")
		if err := b.Model().Write(path); err != nil {
			t.Fatal(err)
		}
		_, err := Resolve(path, Override{Size: 8, Mean: []float32{0, 0, 0}, Std: []float32{1, 1, 1}})
		if err == nil || failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), "1 channel") {
			t.Errorf("%s: %v", layout, err)
		}
	}
}
