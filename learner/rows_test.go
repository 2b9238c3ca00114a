package learner

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/onnxtest"
	"finetune/internal/photos"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/scores"
)

// rowBody is a body on images [n, 3, 2, 2] whose features [n, 3] build makes.
func rowBody(t *testing.T, build func(b *graph.Builder, x string) string) *frozenBody {
	t.Helper()
	onnxtest.Start(t)
	b := graph.NewBuilder("rows", 17)
	x := b.Input("image", graph.Float32, "N", 3, 2, 2)
	y := b.Node("ReduceMax", "max", []string{build(b, x)}, graph.Ints("axes", 2, 3), graph.Int("keepdims", 0))
	b.Node("Identity", "features", []string{y})
	b.Output("features", graph.Float32, "N", 3)
	data, err := b.Model().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.OpenBytes("rows.onnx", data, []string{"image"}, []string{"features"}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	body := &frozenBody{session: s, name: "rows.onnx", precision: fullPrecision, size: 2, features: 3}
	t.Cleanup(func() { body.Close() })
	return body
}

// ramp is n different images.
func ramp(n int) []float32 {
	x := make([]float32, n*12)
	for i := range x {
		x[i] = float32(i*i%17) / 17
	}
	return x
}

func TestBodiesThatMixTheirBatch(t *testing.T) {
	for name, c := range map[string]struct {
		build func(b *graph.Builder, x string) string
		mixes bool
	}{
		"each by itself": {func(b *graph.Builder, x string) string { return b.Node("Relu", "", []string{x}) }, false},
		"normalised by the instance": {func(b *graph.Builder, x string) string {
			return b.Node("InstanceNormalization", "", []string{x, b.Init("one", []int64{3}, []float32{1, 1, 1}), b.Init("none", []int64{3}, make([]float32, 3))})
		}, false},
		"normalised by the batch": {func(b *graph.Builder, x string) string { return b.Node("MeanVarianceNormalization", "", []string{x}) }, true},
		"less the batch's mean": {func(b *graph.Builder, x string) string {
			return b.Node("Sub", "", []string{x, b.Node("ReduceMean", "", []string{x}, graph.Ints("axes", 0))})
		}, true},
		"with noise": {func(b *graph.Builder, x string) string {
			return b.Node("Add", "", []string{x, b.Node("RandomNormalLike", "", []string{x})})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			body := rowBody(t, c.build)
			images, rows := ramp(4), make([]float32, 12)
			if err := body.Run(t.Context(), images, 1, rows[:3]); err != nil {
				t.Errorf("alone: %v", err)
			}
			if err := body.Run(t.Context(), slices.Repeat(images[:12], 4), 4, rows); err != nil {
				t.Errorf("with itself: %v", err)
			}
			for range 2 {
				err := body.Run(t.Context(), images, 4, rows)
				if c.mixes != (err != nil) || err != nil && (failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), "rows.onnx: what it gives for a photograph depends on the others")) {
					t.Errorf("in a batch: %v", err)
				}
			}
		})
	}
}

// A body that rounds to integers by the largest value of a batch is run on one
// photograph at a time, whatever came along.
func TestDynamicQuantizationSeesOnePhotograph(t *testing.T) {
	body := rowBody(t, func(b *graph.Builder, x string) string {
		b.NodeN("DynamicQuantizeLinear", []string{x}, []string{"q", "scale", "zero"})
		return b.Node("DequantizeLinear", "", []string{"q", "scale", "zero"})
	})
	body.single = true
	images := ramp(4)
	images[40] = 900
	rows, one := make([]float32, 12), make([]float32, 3)
	if err := body.Run(t.Context(), images, 4, rows); err != nil {
		t.Fatal(err)
	}
	if err := body.Run(t.Context(), images[12:24], 1, one); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rows[3:6], one) {
		t.Errorf("beside others %v, alone %v", rows[3:6], one)
	}
	b := graph.NewBuilder("dynamic", 17)
	b.NodeN("DynamicQuantizeLinear", []string{b.Input("x", graph.Float32, 2)}, []string{"q", "s", "z"})
	b.Output("q", graph.Uint8)
	if !scalesBatches(b.Model()) {
		t.Error("not recognised")
	}
}

// One photograph that is no number spoils neither its neighbours nor the run.
func TestARowThatIsNoNumber(t *testing.T) {
	root := func(b *graph.Builder, x string) string { // of 3 less the mean of the whole batch's largest: mates are spoilt, too
		most := b.Node("ReduceMax", "", []string{x}, graph.Int("keepdims", 0))
		return b.Node("Add", "", []string{x, b.Node("Mul", "", []string{b.Init("none", nil, []float32{0}), b.Node("Sqrt", "", []string{b.Node("Sub", "", []string{b.Init("three", nil, []float32{3}), most})})})})
	}
	body := rowBody(t, root)
	images, rows := ramp(4), make([]float32, 12)
	images[12] = 9
	if err := body.Run(t.Context(), images, 4, rows); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if reason := body.Wrong(rows[i*3 : (i+1)*3]); (reason != "") != (i == 1) {
			t.Errorf("row %d: %v, %q", i, rows[i*3:(i+1)*3], reason)
		}
	}
}

func TestNotProbabilities(t *testing.T) {
	inf, half := math.Inf(1), math.Log(0.5)
	for _, c := range []struct {
		logp  []float64
		multi bool
		wrong bool
	}{
		{[]float64{half, half}, false, false},
		{[]float64{0, -inf}, false, false},
		{[]float64{-inf, -inf}, false, true},
		{[]float64{-inf, -inf}, true, false},
		{[]float64{half, 0}, true, false},
		{[]float64{half, 0}, false, true},
		{[]float64{math.NaN(), half}, true, true},
		{[]float64{inf, half}, true, true},
		{[]float64{1, half}, true, true},
		{[]float64{-9, -9}, false, true},
	} {
		row := []float32{float32(c.logp[0]), float32(c.logp[1])}
		if reason := notProbabilities(c.multi)(row); (reason != "") != c.wrong {
			t.Errorf("%v, several labels %v: %q", row, c.multi, reason)
		}
	}
}

// glareBody writes a body that makes no number of a white picture.
func glareBody(t *testing.T, dir string) string {
	t.Helper()
	b := graph.NewBuilder("glare", 17)
	x := b.Input("image", graph.Float32, "N", 3, 16, 16)
	w := make([]float32, 12)
	for i := range w {
		w[i] = float32(i%5) - 2
	}
	y := b.Node("Conv", "conv", []string{x, b.Init("w", []int64{4, 3, 1, 1}, w)})
	mean := b.Node("ReduceMean", "mean", []string{x}, graph.Ints("axes", 1, 2, 3))
	glare := b.Node("Mul", "glare", []string{b.Init("none", nil, []float32{0}), b.Node("Sqrt", "sqrt", []string{b.Node("Sub", "sub", []string{b.Init("most", nil, []float32{0.95}), mean})})})
	y = b.Node("Add", "map", []string{y, glare})
	y = b.Node("Flatten", "flat", []string{b.Node("GlobalAveragePool", "pool", []string{y})})
	b.Output(y, graph.Float32, "N", 4)
	path := filepath.Join(dir, "glare.onnx")
	if err := b.Model().Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPhotographThatIsNoNumberIsNamed(t *testing.T) {
	_, m := trained(t) // the library
	dir := t.TempDir()
	for part, n := range map[string]int{"train": 16, "valid": 8} {
		if err := photos.Write(filepath.Join(dir, "data", part), []string{"circle", "square"}, n); err != nil {
			t.Fatal(err)
		}
	}
	white := image.NewGray(image.Rect(0, 0, 20, 20))
	for i := range white.Pix {
		white.Pix[i] = 255 - uint8(i%2)
	}
	white.SetGray(0, 0, color.Gray{Y: 255})
	for _, name := range []string{"train/circle/0white.png", "valid/square/0white.png"} {
		f, err := os.Create(filepath.Join(dir, "data", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, white); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	m.Cache = filepath.Join(dir, "cache")
	config := Config{
		Data: DataConfig{Path: filepath.Join(dir, "data"), MaxBad: .1}, Body: BodyConfig{Name: glareBody(t, dir), Mean: "0,0,0", Std: "1,1,1"},
		Images: Images{Size: 16, Augment: "none", MaxZoom: 1.1, Crop: "random"}, Machine: m,
		Train: Training{BatchSize: 16, LR: .01, Schedule: "constant", Epochs: 1, Momentum: .9, Optimiser: "sgd", Hidden: "8", Dropout: "0"},
	}
	run := filepath.Join(dir, "run")
	r, s := trainOn(t, run, config)
	if len(s) != 2 || s[0].Path != "circle/0white.png" && !strings.HasSuffix(s[0].Path, "0white.png") || s[0].Status != StatusFailed || !strings.Contains(s[0].Reason, "not a number") {
		t.Fatalf("left out: %+v", s)
	}
	_ = r
	for _, o := range []ScoreOptions{{NoCache: true}, {}, {NoCache: true, TTA: 2}, {TTA: 2}} {
		c := open(t, run, m)
		rows := table(t, c, filepath.Join(dir, "data", "valid"), o)
		for path, row := range rows {
			bad := strings.HasSuffix(path, "0white.png")
			if bad != (row["status"] == StatusFailed) || bad != (row["predicted"] == "") || !bad && row["status"] != scores.OK {
				t.Errorf("%+v: %s: %v", o, path, row)
			}
		}
	}
	config.Data.MaxBad = 0
	l, err := Open(t.Context(), config, silent{t})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Precompute(t.Context()); err == nil || failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), "0white.png") {
		t.Errorf("with --max-bad 0: %v", err)
	}
}
