package features

import (
	"math"
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/onnxtest"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/graph"
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
	body := &frozenBody{session: s, name: "rows.onnx", precision: runs.Float32, size: 2, features: 3}
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
			return b.Node("InstanceNormalization", "", []string{x, b.Init("one", []int64{3}, []float32{1, 1, 1}),
				b.Init("none", []int64{3}, make([]float32, 3))})
		}, false},
		"normalised by the batch": {func(b *graph.Builder,
			x string) string {
			return b.Node("MeanVarianceNormalization", "", []string{x})
		}, true},
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
				if c.mixes != (err != nil) || err != nil && (failure.KindOf(err) != failure.DataKind ||
					!strings.Contains(err.Error(), "rows.onnx: the features of a photograph depend on the other photographs")) {
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
	// of 3 less the mean of the whole batch's largest: mates are spoilt, too
	root := func(b *graph.Builder, x string) string {
		most := b.Node("ReduceMax", "", []string{x}, graph.Int("keepdims", 0))
		return b.Node("Add", "", []string{x, b.Node("Mul", "",
			[]string{b.Init("none", nil, []float32{0}), b.Node("Sqrt", "",
				[]string{b.Node("Sub", "", []string{b.Init("three", nil, []float32{3}), most})})})})
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
		if reason := NotProbabilities(c.multi)(row); (reason != "") != c.wrong {
			t.Errorf("%v, several labels %v: %q", row, c.multi, reason)
		}
	}
}
