package look_test

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/internal/uitest"
	"finetune/learner"
	"finetune/learner/look"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

const side = 64

// network is one of 8 × 8 places with four channels: how red, green and blue each is, and how light. end says in
// which form.
func network(end string) *graph.Model {
	b := graph.NewBuilder("corner", 17)
	s := rng.New(3)
	filters, mix := make([]float32, 4*3*8*8), make([]float32, 16)
	for f := range 4 {
		for c := range 3 {
			for i := range 64 {
				v := float32(-.3) / 64
				if f == c || f == 3 {
					v = 1. / 64
				}
				filters[(f*3+c)*64+i] = v
			}
		}
	}
	for i := range mix {
		mix[i] = float32(s.Uniform(0, .3))
		if i%5 == 0 {
			mix[i] = 1
		}
	}
	relu := func(x string) string { return b.Node("Relu", "", []string{x}) }
	x := relu(b.Node("Conv", "", []string{b.Input("image", graph.Float32, "N", 3, side, side), b.Init("f",
		[]int64{4, 3, 8, 8}, filters)}, graph.Ints("strides", 8, 8)))
	x = relu(b.Node("Conv", "cut", []string{x, b.Init("mix", []int64{4, 4, 1, 1}, mix)}))
	switch end {
	case "map":
		x = b.Node("GlobalAveragePool", "", []string{x})
	case "map, channels last":
		x = b.Node("Transpose", "last", []string{x}, graph.Ints("perm", 0, 2, 3, 1))
		x = b.Node("ReduceMean", "", []string{x}, graph.Ints("axes", 1, 2))
	case "tokens":
		x = b.Node("Reshape", "", []string{x, b.Ints("t", []int64{3}, []int64{0, 4, 64})})
		x = b.Node("Transpose", "rows", []string{x}, graph.Ints("perm", 0, 2, 1))
		x = b.Node("ReduceMean", "", []string{x}, graph.Ints("axes", 1))
	}
	x = b.Node("Flatten", "", []string{x})
	b.Output(b.Node("MatMul", "y", []string{x, b.Init("w", []int64{4, 2}, make([]float32, 8))}), graph.Float32)
	return b.Model()
}

// cuts are where each form is cut.
var cuts = map[string]string{"map": "cut", "map, channels last": "last", "tokens": "rows"}

// run computes the one output of a model.
func run(t *testing.T, m *graph.Model, out string, x []float32, n int64) ([]float32, []int64) {
	t.Helper()
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.OpenBytes("test", data, []string{"image"}, []string{out}, onnx.Options{Device: "cpu", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in, err := onnx.Float32(x, n, 3, side, side)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	y := []*onnx.Tensor{nil}
	if err := s.Run([]*onnx.Tensor{in}, y); err != nil {
		t.Fatal(err)
	}
	defer y[0].Close()
	return append([]float32(nil), y[0].Float32()...), y[0].Shape()
}

// TestSharesAddUp: what all places give to a score is gradient · features, in each form of a map.
func TestSharesAddUp(t *testing.T) {
	onnxtest.Start(t)
	for form, cut := range cuts {
		body := filepath.Join(t.TempDir(), "body.onnx")
		if err := network(form).Write(body); err != nil {
			t.Fatal(err)
		}
		zero, one := []float32{0, 0, 0}, []float32{1, 1, 1}
		b, err := bodies.Resolve(body, bodies.Override{Cut: cut, Size: side, Mean: zero, Std: one})
		if err != nil {
			t.Fatal(err)
		}
		pooled, err := bodies.FeatureModel(b)
		if err != nil {
			t.Fatal(err)
		}
		places, err := bodies.MapModel(b)
		if err != nil {
			t.Fatal(err)
		}
		s := rng.New(5)
		x := make([]float32, 2*3*side*side)
		for i := range x {
			x[i] = float32(s.Uniform(-1, 1))
		}
		rows, _ := run(t, pooled, surgery.FeaturesName, x, 2)
		values, shape := run(t, places, bodies.MapName, x, 2)
		if len(values) != 2*4*64 || shape[1] != 4 {
			t.Fatalf("%s: a map of %v", form, shape)
		}
		width := b.Spec.Features()
		for i := range 2 {
			gradient, want, sum := make([]float32, width), 0.0, 0.0
			for j := range gradient {
				gradient[j] = float32(s.Uniform(-1, 1))
				want += float64(gradient[j]) * float64(rows[i*width+j])
			}
			for _, v := range (look.Places{Values: values[i*256 : (i+1)*256], Rows: 8, Columns: 8}).Share(b.Spec, gradient) {
				sum += v
			}
			if math.Abs(sum-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("%s: places give %g, the score has %g", form, sum, want)
			}
		}
	}
}

// corners are the middles of the four corners of a picture.
var corners = []image.Point{{14, 14}, {side - 14, 14}, {14, side - 14}, {side - 14, side - 14}}

// draw writes a grey picture with a coloured square in a corner.
func draw(t *testing.T, path string, colour color.NRGBA, corner image.Point, seed uint64) {
	t.Helper()
	s := rng.New(seed)
	im := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			v := uint8(s.Uniform(80, 110))
			im.SetNRGBA(x, y, color.NRGBA{v, v, v, 255})
			if max(x-corner.X, corner.X-x) < 9 && max(y-corner.Y, corner.Y-y) < 9 {
				im.SetNRGBA(x, y, colour)
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, im); err != nil {
		t.Fatal(err)
	}
}

// TestLooksAtTheCorner: of pictures whose class is a square in a corner, the map is strongest there, and it lies within
// that quarter; a run without a report has no maps.
func TestLooksAtTheCorner(t *testing.T) {
	onnxtest.Start(t)
	dir := t.TempDir()
	onnxtest.Home(t, "cpu", filepath.Join(dir, "home"))
	where := map[string]image.Point{}
	for i := range 32 {
		for class, colour := range map[string]color.NRGBA{"red": {220, 40, 40, 255}, "blue": {40, 40, 220, 255}} {
			part := []string{"train", "valid"}[i%2]
			path := fmt.Sprintf("%s/%s/%02d.png", part, class, i)
			where[path] = corners[i/2%4]
			draw(t, filepath.Join(dir, "data", path), colour, where[path], uint64(i))
		}
	}
	for form, cut := range cuts {
		for _, head := range []string{runs.HeadMLP, runs.HeadLinear} {
			if head == runs.HeadLinear && form != "map" {
				continue // one layer is one layer
			}
			body := filepath.Join(dir, "body.onnx")
			if err := network(form).Write(body); err != nil {
				t.Fatal(err)
			}
			c := learner.DefaultConfig()
			c.Data.Path, c.Machine.Device, c.Machine.Cache = filepath.Join(dir, "data"), "cpu", filepath.Join(dir, "cache")
			c.Body.Name, c.Body.Cut, c.Body.Mean, c.Body.Std = body, cut, []float32{.5, .5, .5}, []float32{.25, .25, .25}
			c.Images.Size, c.Train.Head, c.Train.Hidden, c.Train.Cycles = side, head, []int{16}, 8
			name := filepath.Join(dir, strings.ReplaceAll(form, ", ", "-")+head)
			if _, err := learner.Train(t.Context(), c, learner.TrainOptions{Dir: name}, uitest.Logged{T: t}); err != nil {
				t.Fatal(err)
			}
			maps, err := runs.ReadMaps(name, []string{"blue", "red"})
			if err != nil || len(maps) < 16 {
				t.Fatalf("%s: %d maps, %v", name, len(maps), err)
			}
			for _, m := range maps {
				at := where[m.Path]
				quarter, all := 0, 0
				for i, v := range m.Levels {
					x, y := i%8, i/8
					all += int(v)
					if x/4 == at.X*2/side && y/4 == at.Y*2/side {
						quarter += int(v)
					} else if v == 255 {
						t.Errorf("%s, %s: strongest at %d, %d, the square is at %v", name, m.Path, x, y, at)
					}
				}
				if quarter*10 < all*7 {
					t.Errorf("%s, %s: %d of %d in the quarter of the square at %v", name, m.Path, quarter, all, at)
				}
			}
			page, err := os.ReadFile(filepath.Join(name, "report", "index.html"))
			if err != nil || !strings.Contains(string(page), "Where the model looks") {
				t.Errorf("%s: the page does not show it: %v", name, err)
			}
			if form != "map" {
				continue
			}
			c.Train.Cycles = 1
			if _, err := learner.Train(t.Context(), c, learner.TrainOptions{Dir: name + "-plain", NoReport: true},
				uitest.Logged{T: t}); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(name+"-plain", runs.MapsFile)); err == nil {
				t.Error("a run without a report has maps")
			}
		}
	}
}

// TestLevels: what speaks against a class is not shown.
func TestLevels(t *testing.T) {
	if got := fmt.Sprint(look.Levels([]float64{-1, 0, 1, 4})); got != "[0 0 64 255]" {
		t.Error(got)
	}
	for _, none := range [][]float64{{-1, 0}, {math.NaN(), -1}, {math.Inf(1)}, nil} {
		if look.Levels(none) != nil {
			t.Errorf("%v has levels", none)
		}
	}
}
