package bodies

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"finetune/internal/dims"
	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/onnx/surgery"
	"finetune/onnx/weights"
)

// wantViT: testdata/reference/bodies_vit.py.
type wantViT struct {
	Library        string
	Depth          int64
	Batch, Width   int
	Tensors        [][2]any
	Features       []float32
	FeaturesSquare float64 `json:"features_square"`
	Logits         []float32
	LogitsSquare   float64 `json:"logits_square"`
}

// drawn is the state dict of the script: tensors of block 0 stand for those of the others.
func (w wantViT) drawn() []weights.Tensor {
	var state []weights.Tensor
	for _, t := range w.Tensors {
		var shape []int64
		for _, d := range t[1].([]any) {
			shape = append(shape, int64(d.(float64)))
		}
		name, last := t[0].(string), int64(1)
		if strings.Contains(name, ".0.") {
			last = w.Depth
		}
		for i := range last {
			t := weights.Tensor{Name: strings.Replace(name, ".0.", fmt.Sprintf(".%d.", i), 1), Shape: shape}
			lo, hi := span(t, nil)
			s := rng.New(seed, rng.Text(t.Name))
			t.Data = make([]float32, dims.Product(shape))
			for j := range t.Data {
				t.Data[j] = float32(s.Uniform(lo, hi))
			}
			state = append(state, t)
		}
	}
	return state
}

// TestTransformersEqualTheirReference: by timm's names, by those of transformers' files and of its modules, with
// position tables of another size.
func TestTransformersEqualTheirReference(t *testing.T) {
	onnxtest.Start(t)
	data, err := os.ReadFile("../../testdata/reference/bodies_vit.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Networks map[string]wantViT }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Networks) < 15 {
		t.Fatalf("%d networks", len(file.Networks))
	}
	for title, w := range file.Networks {
		t.Run(title, func(t *testing.T) {
			name, _, _ := strings.Cut(title, " ")
			a := architectures[name]
			whole := *a.vit
			a.vit.depth = w.Depth
			defer func() { *a.vit = whole }()
			full, spec, err := Build(name, w.drawn())
			if err != nil {
				t.Fatal(err)
			}
			features, err := surgery.Features(full, spec.Cut)
			if err != nil {
				t.Fatal(err)
			}
			x := image(224, w.Batch)
			pooled, shape := run(t, features, x, w.Batch, 224)
			if int(shape[1]) != w.Width || w.Width != spec.Features() {
				t.Fatalf("%d features, the description says %d, %s has %d", shape[1], spec.Features(), w.Library, w.Width)
			}
			last := pooled[len(pooled)-w.Width:]
			var some []float32
			for i := 0; i < w.Width; i += w.Width / 32 {
				some = append(some, last[i])
			}
			near(t, "features", some, w.Features)
			near(t, "sum of squared features", []float32{float32(square(pooled))}, []float32{float32(w.FeaturesSquare)})
			if len(w.Logits) > 0 {
				logits, _ := run(t, full, x, w.Batch, 224)
				near(t, "logits", logits[len(logits)-1000:], w.Logits)
				near(t, "sum of squared logits", []float32{float32(square(logits))}, []float32{float32(w.LogitsSquare)})
			}
		})
	}
}
