package bodies

import (
	"path/filepath"
	"strings"
	"testing"

	"finetune/onnx/graph"
)

// scaling writes a network that scales its image by a factor, of elements of a type, before a convolution.
func scaling(t *testing.T, elem int32, by float32) string {
	t.Helper()
	b := graph.NewBuilder("scaling", 17)
	x := b.Input("image", elem, "N", 3, 8, 8)
	if elem == graph.Uint8 {
		x = b.Node("Cast", "float", []string{x}, graph.Int("to", int64(graph.Float32)))
	}
	if by != 0 {
		x = b.Node("Mul", "scaled", []string{x, b.Init("s", nil, []float32{by})})
	}
	x = b.Node("Conv", "map", []string{x, b.Init("w", []int64{2, 3, 1, 1}, []float32{1, 2, 3, 4, 5, 6})})
	b.Output(b.Node("GlobalAveragePool", "y", []string{x}), graph.Float32, "N", 2, 1, 1)
	path := filepath.Join(t.TempDir(), "scaling.onnx")
	if err := b.Model().Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPixelsAreNormalisedOnce: a network that takes pixels as they are gets them so, or its user is asked.
func TestPixelsAreNormalisedOnce(t *testing.T) {
	three := func(v float32) []float32 { return []float32{v, v, v} }
	usual := Override{Mean: []float32{.485, .456, .406}, Std: []float32{.229, .224, .225}}
	for name, c := range map[string]struct {
		elem int32
		by   float32
		o    Override
		std  float32
		want string
	}{
		"bytes, nothing said":    {graph.Uint8, 1. / 255, Override{}, 1. / 255, ""},
		"bytes, said":            {graph.Uint8, 1. / 255, Override{Mean: three(0), Std: three(.0039216)}, 1. / 255, ""},
		"bytes, twice":           {graph.Uint8, 1. / 255, usual, 0, "leave out --mean and --std"},
		"rescaled, nothing said": {graph.Float32, 1. / 255, Override{}, 0, "add --mean 0,0,0 --std 0.0039216,0.0039216,"},
		"rescaled, said":         {graph.Float32, 1. / 255, Override{Mean: three(0), Std: three(.0039216)}, 1. / 255, ""},
		"rescaled, twice":        {graph.Float32, 1. / 255, usual, 0, "normalised twice"},
		"as usual":               {graph.Float32, 0, usual, .229, ""},
		"of float16":             {graph.Float16, 0, usual, .229, ""},
	} {
		b, err := Resolve(scaling(t, c.elem, c.by), c.o)
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want %q in it", name, err, c.want)
			}
		case c.elem == graph.Float16: // its weights are not, so it does not run, but its input is taken
			if err != nil && strings.Contains(err.Error(), "FLOAT16") {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case b.Spec.Std[0] < .999*c.std || b.Spec.Std[0] > 1.001*c.std:
			t.Errorf("%s: deviation %v, want %g", name, b.Spec.Std, c.std)
		default:
			m, err := FeatureModel(b)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if in := m.Inputs()[0]; in.Elem != graph.Float32 {
				t.Errorf("%s: the image is of type %s", name, in.Type)
			}
		}
	}
}
