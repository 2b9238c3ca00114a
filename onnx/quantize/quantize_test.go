package quantize

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"finetune/internal/half"
	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/graph"
)

// draws are n values of a named stream, evenly from lo to hi.
func draws(name string, n int, lo, hi float64) []float32 {
	s, out := rng.New(rng.Text(name)), make([]float32, n)
	for i := range out {
		out[i] = float32(s.Uniform(lo, hi))
	}
	return out
}

// residual is a small network with all that is rewritten: convolutions with
// BatchNormalization and Relu or Clip, one depthwise, a sum, a pooling.
func residual() *graph.Model {
	b := graph.NewBuilder("residual", 17)
	image := b.Input("image", graph.Float32, "N", 3, 16, 16)
	x := b.Node("Mul", "scaled", []string{image, b.Init("two", nil, []float32{2})})
	conv := func(name, x string, out, in, k, group int64) string {
		w := b.Init(name+".w", []int64{out, in, k, k}, draws(name, int(out*in*k*k), -.5, .5))
		x = b.Node("Conv", name, []string{x, w}, graph.Ints("pads", k/2, k/2, k/2, k/2), graph.Int("group", group))
		var norm []string
		for _, p := range []struct {
			name   string
			lo, hi float64
		}{{"gamma", .5, 1.5}, {"beta", -.2, .2}, {"mean", -.2, .2}, {"var", .5, 2}} {
			norm = append(norm, b.Init(name+"."+p.name, []int64{out}, draws(name+p.name, int(out), p.lo, p.hi)))
		}
		return b.Node("BatchNormalization", name+".bn", append([]string{x}, norm...), graph.Float("epsilon", 1e-3))
	}
	x = b.Node("Relu", "relu1", []string{conv("c1", x, 8, 3, 3, 1)})
	x = b.Node("MaxPool", "pool", []string{x}, graph.Ints("kernel_shape", 2, 2), graph.Ints("strides", 2, 2))
	y := b.Node("Clip", "clip",
		[]string{conv("c2", x, 8, 1, 3, 8), b.Init("zero", nil, []float32{0}), b.Init("six", nil, []float32{6})})
	y = conv("c3", y, 8, 8, 1, 1)
	x = b.Node("Relu", "relu2", []string{b.Node("Add", "sum", []string{y, x})})
	x = b.Node("GlobalAveragePool", "mean", []string{x})
	b.Output(b.Node("Flatten", "out", []string{x}), graph.Float32, "N", 8)
	return b.Model()
}

func run(t *testing.T, m *graph.Model, x []float32, n int64) []float32 {
	t.Helper()
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.OpenBytes(m.Graph.GetName(), data, []string{"image"}, []string{"out"}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in, err := onnx.Float32(x, n, 3, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	out := []*onnx.Tensor{nil}
	if err := s.Run([]*onnx.Tensor{in}, out); err != nil {
		t.Fatal(err)
	}
	defer out[0].Close()
	return slices.Clone(out[0].Float32())
}

// worst is the largest difference over the largest value.
func worst(a, b []float32) float64 {
	d, scale := 0.0, 0.0
	for i := range a {
		d, scale = max(d, math.Abs(float64(a[i]-b[i]))), max(scale, math.Abs(float64(b[i])))
	}
	return d / scale
}

func operators(m *graph.Model) map[string]int {
	count := map[string]int{}
	for _, n := range m.Graph.Node {
		count[n.GetOpType()]++
	}
	return count
}

func TestFoldChangesNothingButRounding(t *testing.T) {
	onnxtest.Start(t)
	m := residual()
	before, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	folded, err := Fold(m)
	if err != nil {
		t.Fatal(err)
	}
	if n := operators(folded)["BatchNormalization"]; n != 0 {
		t.Errorf("%d BatchNormalization are left", n)
	}
	x := draws("x", 4*3*256, 0, 1)
	if d := worst(run(t, folded, x, 4), run(t, m, x, 4)); d > 1e-5 { // float32 sums of up to 72 terms
		t.Errorf("differs by %g of the largest value", d)
	}
	if after, err := m.Digest(); err != nil || after != before {
		t.Error("Fold changed its argument")
	}
}

func observe(t *testing.T, m *graph.Model) map[string]Range {
	t.Helper()
	names := []string{"a", "b", "unreadable", "c", "x"}
	images := Images{len(names), []int64{1, 3, 16, 16}, func(i int, x []float32) (bool, error) {
		copy(x, draws(names[i], len(x), 0, 1))
		return names[i] != "unreadable", nil
	}}
	ranges, err := Observe(m, images, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Observe(m, images, onnx.Options{Threads: 3}); err != nil || !maps.Equal(again, ranges) {
		t.Errorf("three at once: %v, one after the other: %v, %v", again, ranges, err)
	}
	return ranges
}

// Sums of sizes and with constants, which exporters compute in nodes, are left alone.
func TestSumsOfOtherThingsStay(t *testing.T) {
	onnxtest.Start(t)
	b := graph.NewBuilder("sums", 17)
	image := b.Input("image", graph.Float32, "N", 3, 16, 16)
	x := b.Node("Conv", "conv", []string{image, b.Init("w", []int64{3, 3, 1, 1}, draws("w", 9, -.5, .5))})
	none := b.Node("Constant", "none", nil, graph.Ints("value_ints", 0, 0, 0, 0))
	size := b.Node("Add", "size", []string{b.Node("Shape", "shape", []string{x}), none})
	x = b.Node("Reshape", "view", []string{x, size})
	one := b.Node("Constant", "one", nil, graph.Float("value_float", 1))
	b.Output(b.Node("Add", "out", []string{x, one}), graph.Float32, "N", 3, 16, 16)
	m := b.Model()
	if got, want := Activations(m), []string{"image", "conv"}; !slices.Equal(got, want) {
		t.Errorf("observes %v, want %v", got, want)
	}
	images := Images{Count: 1, Shape: []int64{1, 3, 16, 16},
		Load: func(_ int, x []float32) (bool, error) { copy(x, draws("x", len(x), 0, 1)); return true, nil }}
	ranges, err := Observe(m, images, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	quantised, err := Int8(m, ranges)
	if err != nil {
		t.Fatal(err)
	}
	input := draws("x", 3*256, 0, 1)
	if d := worst(run(t, quantised, input, 1), run(t, m, input, 1)); d > 0.05 {
		t.Errorf("differs by %g of the largest value", d)
	}
}

func TestInt8(t *testing.T) {
	onnxtest.Start(t)
	m, err := Fold(residual())
	if err != nil {
		t.Fatal(err)
	}
	ranges := observe(t, m)
	small, err := Int8(m, ranges)
	if err != nil {
		t.Fatal(err)
	}
	count := operators(small)
	if count["Relu"]+count["Clip"] != 0 {
		t.Errorf("%d Relu and Clip are left; the integers' range does their work", count["Relu"]+count["Clip"])
	}
	// scaled, relu1, pool, clip, c3, relu2: six activations, and weight and bias of three convolutions
	if count["QuantizeLinear"] != 6 || count["DequantizeLinear"] != 6+2*3 {
		t.Errorf("operators %v", count)
	}
	x := draws("x", 4*3*256, 0, 1)
	if d := worst(run(t, small, x, 4), run(t, m, x, 4)); d > .05 { // a few steps of 1/255 and of 1/64
		t.Errorf("differs by %g of the largest value", d)
	}
	delete(ranges, "pool")
	if _, err := Int8(m, ranges); err == nil || !strings.Contains(err.Error(), "pool") {
		t.Errorf("a missing range: %v", err)
	}
}

func TestSteps(t *testing.T) {
	for _, tt := range []struct {
		r    Range
		want scale
	}{
		{Range{0, 6}, scale{6. / 255, 0}},
		{Range{-1, 3}, scale{4. / 255, 64}},
		{Range{2, 6}, scale{6. / 255, 0}}, // 0 is always a value
		{Range{-5, -1}, scale{5. / 255, 255}},
		{Range{0, 0}, scale{1, 0}},
	} {
		if got := scaleOf(tt.r); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.r, got, tt.want)
		}
	}
}

func TestHalf(t *testing.T) {
	onnxtest.Start(t)
	m, err := Fold(residual())
	if err != nil {
		t.Fatal(err)
	}
	between := func(m *graph.Model) (*graph.Model, error) { return Half(m, "scaled", "mean") }
	for _, narrow := range []func(*graph.Model) (*graph.Model, error){between, HalfWhole} {
		half, err := narrow(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range half.Graph.Initializer {
			if n := i.GetName(); strings.Contains(n, "weight") && i.GetDataType() != graph.Float16 {
				t.Errorf("%s is not float16", n)
			}
		}
		x := draws("x", 4*3*256, 0, 1)
		if d := worst(run(t, half, x, 4), run(t, m, x, 4)); d > 5e-3 || d == 0 { // 11 bits a number
			t.Errorf("differs by %g of the largest value", d)
		}
	}
	if _, err := Half(m, "scaled", "nothing"); err == nil {
		t.Error("a tensor that is not there passed")
	}
}

// want: IEEE 754 binary16, as numpy.float32(x).astype(numpy.float16) gives.
func TestFloat16(t *testing.T) {
	for x, want := range map[float32]uint16{
		0: 0, 1: 0x3c00, -2: 0xc000, 65504: 0x7bff, 65519.996: 0x7bff, 65520: 0x7c00, 1e9: 0x7c00,
		1. / 3: 0x3555, 1 + 1./2048: 0x3c00, 1 + 3./2048: 0x3c02, 2047.5: 0x6800, 0x1p-14: 0x0400, 0x1p-24: 0x0001,
		0x1p-25: 0, 0x1.8p-24: 0x0002, 0x1.ffcp-15: 0x0400,
	} {
		if got := half.From(x); got != want {
			t.Errorf("float16(%v) = %#04x, want %#04x", x, got, want)
		}
	}
	if got := half.From(float32(math.NaN())); got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
		t.Errorf("half.From(NaN) = %#04x", got)
	}
}

func TestRefusals(t *testing.T) {
	b := graph.NewBuilder("old", 11)
	x := b.Input("image", graph.Float32, "N", 3, 16, 16)
	b.Output(b.Node("Relu", "out", []string{x}), graph.Float32, "N", 3, 16, 16)
	if _, err := Int8(b.Model(), nil); err == nil || !strings.Contains(err.Error(), "operator set 11") {
		t.Errorf("an old operator set: %v", err)
	}
	b = graph.NewBuilder("large", 17)
	x = b.Node("Identity", "in", []string{b.Input("image", graph.Float32, "N", 3, 16, 16)})
	y := b.Node("Mul", "out", []string{x, b.Init("w", nil, []float32{1e6})})
	b.Output(y, graph.Float32, "N", 3, 16, 16)
	if _, err := Half(b.Model(), "in", "out"); err == nil || !strings.Contains(err.Error(), "float16 can hold") {
		t.Errorf("a weight of a million: %v", err)
	}
}
