package bodies

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
	"finetune/onnx/weights"
)

// want: testdata/reference/bodies_logits.py, torchvision and
// efficientnet_lite_pytorch with the same seeded weights and images.
type want struct {
	Size, Batch    int
	FeaturesShape  []int64 `json:"features_shape"`
	Logits         []float32
	LogitsSquare   float64 `json:"logits_square"`
	Features       []float32
	FeaturesSquare float64 `json:"features_square"`
}

func reference(t *testing.T) map[string]want {
	t.Helper()
	all := map[string]want{}
	for _, name := range []string{"bodies_logits.json", "bodies_convnext.json"} {
		data, err := os.ReadFile("../../testdata/reference/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Networks map[string]want }
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		maps.Copy(all, file.Networks)
	}
	all["resnet50-v2"] = all["resnet50"] // newer weights of the same network
	return all
}

const seed = 7

func image(size, batch int) []float32 {
	s := rng.New(seed, rng.Text("image"))
	x := make([]float32, batch*3*size*size)
	for i := range x {
		x[i] = float32(s.Uniform(-4, 4))
	}
	return x
}

// run returns the one output of m for a batch of images.
func run(t *testing.T, m *graph.Model, x []float32, batch, size int) (y []float32, shape []int64) {
	t.Helper()
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	in, out := m.Inputs()[0].Name, m.Outputs()[0].Name
	s, err := onnx.OpenBytes(m.Graph.GetName(), data, []string{in}, []string{out}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	xt, err := onnx.Float32(x, int64(batch), 3, int64(size), int64(size))
	if err != nil {
		t.Fatal(err)
	}
	defer xt.Close()
	outputs := []*onnx.Tensor{nil}
	if err := s.Run([]*onnx.Tensor{xt}, outputs); err != nil {
		t.Fatal(err)
	}
	defer outputs[0].Close()
	return append([]float32(nil), outputs[0].Float32()...), outputs[0].Shape()
}

// near compares with a tolerance relative to the largest reference value:
// float32 sums of up to 4608 products in another order.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	const tol = 1e-4
	var scale, worst float64
	at := 0
	for i, w := range want {
		scale = max(scale, math.Abs(float64(w)))
		if d := math.Abs(float64(got[i] - w)); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= tol*scale) {
		t.Errorf("%s[%d] = %v, PyTorch gives %v (off by %.2g of the largest, tolerance %g)", what, at, got[at], want[at],
			worst/scale, tol)
	}
}

func square(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

func compare(t *testing.T, full *graph.Model, spec Spec, w want) {
	t.Helper()
	x := image(w.Size, w.Batch)
	features, err := surgery.Features(full, spec.Cut)
	if err != nil {
		t.Fatal(err)
	}
	logits, _ := run(t, full, x, w.Batch, w.Size)
	last := logits[len(logits)-len(logits)/w.Batch:]
	near(t, "logits", last, w.Logits)
	near(t, "sum of squared logits", []float32{float32(square(logits))}, []float32{float32(w.LogitsSquare)})

	pooled, shape := run(t, features, x, w.Batch, w.Size)
	if shape[1] != w.FeaturesShape[1] || int(shape[1]) != spec.Features() {
		t.Errorf("features %v, Spec says %d, PyTorch has %v", shape, spec.Features(), w.FeaturesShape)
	}
	last = pooled[len(pooled)-len(pooled)/w.Batch:]
	var some []float32
	for i := 0; i < len(last); i += len(last) / 32 {
		some = append(some, last[i])
	}
	near(t, "features", some, w.Features)
	near(t, "sum of squared features", []float32{float32(square(pooled))}, []float32{float32(w.FeaturesSquare)})
}

func TestNetworksEqualTheirReference(t *testing.T) {
	onnxtest.Start(t)
	references := reference(t)
	for _, name := range Names() {
		if architectures[name].vit != nil { // TestTransformersEqualTheirReference
			continue
		}
		t.Run(name, func(t *testing.T) {
			state, err := Seeded(name, seed)
			if err != nil {
				t.Fatal(err)
			}
			m, spec, err := Build(name, state)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, m, spec, references[name])
			keep(t, m, spec)
		})
	}
}

// keep writes a network where bodies_logits.py can check it.
func keep(t *testing.T, m *graph.Model, spec Spec) {
	dir := os.Getenv("FINETUNE_KEEP_BODIES")
	if dir == "" {
		return
	}
	features, err := surgery.Features(m, spec.Cut)
	if err != nil {
		t.Fatal(err)
	}
	for file, m := range map[string]*graph.Model{spec.Name + ".onnx": m, spec.Name + "-features.onnx": features} {
		if err := m.Write(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPretrainedLite0EqualsItsReference(t *testing.T) {
	onnxtest.Start(t)
	file, err := WeightsPath("efficientnet-lite0")
	if errors.Is(err, ErrNotInstalled) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	state, err := weights.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	m, spec, err := Build("efficientnet-lite0", state)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, m, spec, reference(t)["efficientnet-lite0 pretrained"])
}

// TestBatchesAgree holds ORT to the same numbers for an image alone and among others.
func TestBatchesAgree(t *testing.T) {
	onnxtest.Start(t)
	for _, tt := range []struct {
		name string
		size int
	}{{"resnet18", 64}, {"efficientnet-lite0", 224}} {
		state, err := Seeded(tt.name, 3)
		if err != nil {
			t.Fatal(err)
		}
		full, spec, err := Build(tt.name, state)
		if err != nil {
			t.Fatal(err)
		}
		m, err := surgery.Features(full, spec.Cut)
		if err != nil {
			t.Fatal(err)
		}
		x := image(tt.size, 4)
		four, _ := run(t, m, x, 4, tt.size)
		one, _ := run(t, m, x[len(x)/4*3:], 1, tt.size)
		near(t, tt.name, one, four[len(four)/4*3:])
	}
}
