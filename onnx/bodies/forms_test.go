package bodies

import (
	"bytes"
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
