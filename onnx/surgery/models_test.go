package surgery_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

const models = "../../testdata/models"

// sample is one network of testdata/reference/graph_models.py: PyTorch's word
// on what the frozen body gives for two images.
type sample struct {
	File     string
	Channels int64
	Size     int
	Layout   string
	Features [][]float32
}

func samples(t *testing.T) []sample {
	t.Helper()
	data, err := os.ReadFile("../../testdata/reference/graph_models.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []sample
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func read(t *testing.T, file string) *graph.Model {
	t.Helper()
	m, err := graph.Read(filepath.Join(models, file))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// images draws the batch of two that the reference saw, in the layout of s.
func (s sample) images() (data []float32, shape []int64) {
	name := strings.TrimSuffix(strings.TrimPrefix(s.File, "graph_"), ".onnx")
	stream, n := rng.New(41, rng.Text(name)), s.Size
	data = make([]float32, 2*3*n*n)
	for i := range data {
		data[i] = float32(stream.Uniform(-1, 1))
	}
	if s.Layout == "NCHW" {
		return data, []int64{2, 3, int64(n), int64(n)}
	}
	moved := make([]float32, len(data))
	for b := range 2 {
		for c := range 3 {
			for p := range n * n {
				moved[(b*n*n+p)*3+c] = data[(b*3+c)*n*n+p]
			}
		}
	}
	return moved, []int64{2, int64(n), int64(n), 3}
}

func TestFeaturesEqualPyTorch(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.File, func(t *testing.T) {
			m := read(t, s.File)
			cut, channels, err := surgery.FindCut(m)
			if err != nil || channels != s.Channels {
				t.Fatalf("FindCut = %q, %d, %v; want %d channels", cut, channels, err, s.Channels)
			}
			body, err := surgery.Features(m, cut)
			if err != nil {
				t.Fatal(err)
			}
			in, err := body.Image()
			if err != nil || in.Layout != s.Layout {
				t.Fatalf("input %+v, %v; want layout %s", in, err, s.Layout)
			}
			if in.Batch() != -1 {
				t.Errorf("batch is fixed at %d", in.Batch())
			}
			out := body.Outputs()
			if len(out) != 1 || out[0].Name != surgery.FeaturesName || !slices.Equal(out[0].Shape, []int64{-1, 2 * channels}) {
				t.Errorf("outputs %+v", out)
			}
			compare(t, body, in.Name, s)
		})
	}
}

// compare runs body on the images of s. PyTorch and ONNX Runtime both add in
// float32, in another order; the reference has 7 digits.
func compare(t *testing.T, body *graph.Model, input string, s sample) {
	t.Helper()
	onnxtest.Start(t)
	data, err := body.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	session, err := onnx.OpenBytes("body", data, []string{input}, []string{surgery.FeaturesName}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	pixels, shape := s.images()
	x, err := onnx.Float32(pixels, shape...)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	result := []*onnx.Tensor{nil}
	if err := session.Run([]*onnx.Tensor{x}, result); err != nil {
		t.Fatal(err)
	}
	defer result[0].Close()
	tol := 2e-5
	if strings.Contains(s.File, "half") {
		tol = 2e-3 // float16 convolution: 11 bits
	}
	want := slices.Concat(s.Features...)
	got := result[0].Float32()
	if len(got) != len(want) {
		t.Fatalf("%d features, want %d", len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i] - w)); d > tol*max(1, math.Abs(float64(w))) {
			t.Fatalf("feature %d is %.7g, PyTorch gives %.7g (tolerance %g)", i, got[i], w, tol)
		}
	}
}

func TestRoundTripIsLossless(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(models, "graph_*.onnx"))
	if err != nil || len(files) < 15 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// What a later ONNX may add: fields this project knows nothing of, at the end of the model.
			data = append(data, 0xfa, 0x7f, 3, 'n', 'e', 'w', 0x80, 0x7d, 42)
			m, err := graph.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			back, err := m.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if string(back) != string(data) {
				t.Errorf("%d bytes became %d other bytes", len(data), len(back))
			}
			again, err := graph.Parse(back)
			if err != nil || !proto.Equal(m.ModelProto, again.ModelProto) {
				t.Errorf("the written model differs: %v", err)
			}
		})
	}
}
