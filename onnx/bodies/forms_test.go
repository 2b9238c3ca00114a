package bodies

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/surgery"
	"finetune/onnx/weights"
)

// Weights as other programs keep them give the body that the plain ones give:
// without a classifier, under names that all begin alike, or both.
func TestFormsOfStateDicts(t *testing.T) {
	for _, name := range []string{"resnet18", "efficientnet-lite0"} {
		plain, err := Seeded(name, 3)
		if err != nil {
			t.Fatal(err)
		}
		bare := slices.DeleteFunc(slices.Clone(plain),
			func(w weights.Tensor) bool { return strings.HasPrefix(strings.TrimPrefix(w.Name, "_"), "fc.") })
		if len(bare) != len(plain)-2 {
			t.Fatalf("%s: %d of %d tensors without the classifier", name, len(bare), len(plain))
		}
		under := func(prefix string, state []weights.Tensor) []weights.Tensor {
			state = slices.Clone(state)
			for i := range state {
				state[i].Name = prefix + state[i].Name
			}
			return state
		}
		features := func(m *graph.Model, cut string) []byte {
			f, err := surgery.Features(m, cut)
			if err != nil {
				t.Fatal(err)
			}
			data, err := f.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		m, spec, err := Build(name, plain)
		if err != nil {
			t.Fatal(err)
		}
		want := features(m, spec.Cut)
		for form, state := range map[string][]weights.Tensor{
			"without a classifier": bare, "prefixed": under("resnet.", plain),
			"prefixed twice": under("backbone.encoder.", bare),
		} {
			m, s, err := Build(name, state)
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			if s.Cut != spec.Cut || s.Channels != spec.Channels || !bytes.Equal(features(m, s.Cut), want) {
				t.Errorf("%s, %s: another body", name, form)
			}
			if cut, _, err := surgery.FindCut(m); err != nil || cut != spec.Cut {
				t.Errorf("%s, %s: cut at %q, %v", name, form, cut, err)
			}
		}
		for form, state := range map[string][]weights.Tensor{
			"half a classifier": plain[:len(plain)-1], "no layers": bare[:1], "nothing": nil,
			"two prefixes": append(under("a.", bare[:9]), under("b.", bare[9:])...),
		} {
			if _, _, err := Build(name, state); err == nil || !strings.Contains(err.Error(), "missing") {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
	}
}

// TestHubFolder: a folder as a hub lays it out needs no flag; its colours, sizes and their order are taken, and the
// model puts blue first.
func TestHubFolder(t *testing.T) {
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Mkdir(filepath.Join(dir, "onnx"), 0o777))
	check(os.Rename(foreign(t, false, "N", 32), filepath.Join(dir, "onnx", "model.onnx")))
	config := `{"image_processor_type": "MobileViTImageProcessor", "size": {"shortest_edge": 40}, "crop_size": 32}`
	check(os.WriteFile(filepath.Join(dir, "preprocessor_config.json"), []byte(config), 0o666))
	b, err := Resolve(dir, Override{})
	check(err)
	s := b.Spec
	if s.Size != 32 || s.Resize != 40 || s.Resample != "bicubic" || !s.BGR || s.Std != [3]float32{1, 1, 1} ||
		s.Name != filepath.Base(dir) || filepath.Base(s.Prepared) != "preprocessor_config.json" {
		t.Errorf("%+v", s)
	}
	m, err := FeatureModel(b)
	check(err)
	if first := m.Graph.Node[0]; first.GetOpType() != "Gather" || m.Check() != nil {
		t.Errorf("the first node is %s", first.GetOpType())
	}
	if b, err = Resolve(dir, Override{Mean: described.Mean, Std: described.Std, Size: 32}); err != nil ||
		b.Spec.Prepared != "" || b.Spec.BGR {
		t.Errorf("flags go first: %+v, %v", b.Spec, err)
	}
	again := filepath.Join(t.TempDir(), "net.json")
	check(WriteSpec(again, s))
	read, err := ReadSpec(again)
	if s.Prepared = ""; err != nil || !reflect.DeepEqual(read, s) {
		t.Errorf("written %+v, read %+v, %v", s, read, err)
	}
}

// TestWhatABodyIsCalled: by its file, or by the folder where the file's name says nothing.
func TestWhatABodyIsCalled(t *testing.T) {
	for path, want := range map[string]string{
		"nets/resnet.onnx": "resnet", "/hub/dinov2-small/onnx/model.onnx": "dinov2-small", "/hub/vit/model.onnx": "vit",
		"/hub/clip/onnx/vision_model.onnx": "clip", "/model.onnx": "model",
	} {
		if got := called(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
