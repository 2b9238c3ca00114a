package surgery_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// scaler is y = 2x with a weight called "w", for operators of version opset.
func scaler(opset int64) *graph.Model {
	b := graph.NewBuilder("scaler", opset)
	x := b.Input("x", graph.Float32, "N", 16)
	w := b.Init("w", []int64{1}, []float32{2})
	b.Output(b.Node("Mul", "y", []string{b.Node("Identity", "map", []string{x}), w}), graph.Float32, "N", 16)
	m := b.Model()
	m.SetMeta("classes", "[]")
	return m
}

func TestJoinRuns(t *testing.T) {
	s := samples(t)[0]
	m := read(t, s.File)
	cut, _, err := surgery.FindCut(m)
	if err != nil {
		t.Fatal(err)
	}
	body, err := surgery.Features(m, cut)
	if err != nil {
		t.Fatal(err)
	}
	b := graph.NewBuilder("head", body.Opset())
	x := b.Input("x", graph.Float32, "N", 2*s.Channels)
	b.Output(b.Node("Mul", "twice", []string{x, b.Init("w", nil, []float32{2})}), graph.Float32, "N", 2*s.Channels)
	joined, err := surgery.Join(body, b.Model(), map[string]string{"x": surgery.FeaturesName}, "head.")
	if err != nil {
		t.Fatal(err)
	}
	onnxtest.Start(t)
	data, err := joined.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	session, err := onnx.OpenBytes("joined", data, []string{"image"}, []string{"twice"}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	pixels, shape := s.images()
	in, err := onnx.Float32(pixels, shape...)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out := []*onnx.Tensor{nil}
	if err := session.Run([]*onnx.Tensor{in}, out); err != nil {
		t.Fatal(err)
	}
	defer out[0].Close()
	for i, w := range slices.Concat(s.Features...) {
		if got := out[0].Float32()[i]; math.Abs(float64(got-2*w)) > 4e-5*max(1, math.Abs(float64(w))) {
			t.Fatalf("output %d is %.7g, want %.7g", i, got, 2*w)
		}
	}
}

func TestJoinNamesAndHeaders(t *testing.T) {
	a := concatHead()
	m, err := surgery.Join(a, scaler(17), map[string]string{"x": "flat"}, "head.")
	if err != nil {
		t.Fatal(err)
	}
	if m.Initializers()["w"] == nil || m.Initializers()["head.w"] == nil {
		t.Errorf("initializers %v", m.Initializers())
	}
	if out := m.Outputs(); len(out) != 1 || out[0].Name != "y" {
		t.Errorf("outputs %v", out)
	}
	if v, _ := m.Meta("classes"); v != "[]" || len(a.MetadataProps) != 0 {
		t.Errorf("metadata %v, of the first model %v", m.MetadataProps, a.MetadataProps)
	}
	last := m.Graph.Node[len(m.Graph.Node)-1]
	if !slices.Equal(last.Input, []string{"head.map", "head.w"}) {
		t.Errorf("last node reads %v", last.Input)
	}
}

func TestJoinErrors(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		opset      int64
		connect    map[string]string
		prefix     string
	}{
		{"other operator set", "imports version 17 of ai.onnx, the model to join version 13", 13,
			map[string]string{"x": "flat"}, "h."},
		{"no such input", `no input "z"`, 17, map[string]string{"z": "flat"}, "h."},
		{"no such tensor", `no tensor "absent"`, 17, map[string]string{"x": "absent"}, "h."},
		{"same names", "choose another prefix", 17, map[string]string{"x": "flat"}, ""},
	} {
		if _, err := surgery.Join(concatHead(), scaler(tt.opset), tt.connect, tt.prefix); err == nil ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
