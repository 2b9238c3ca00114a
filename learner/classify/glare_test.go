package classify

import (
	"finetune/internal/failure"
	"finetune/internal/learnertest"
	"finetune/internal/photos"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/onnx/graph"
	"finetune/scores"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

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
	glare := b.Node("Mul", "glare", []string{b.Init("none", nil, []float32{0}),
		b.Node("Sqrt", "sqrt", []string{b.Node("Sub", "sub", []string{b.Init("most", nil, []float32{0.95}), mean})})})
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
	_, m := learnertest.Trained(t) // the library
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
	config := runs.Config{
		Data:   runs.DataConfig{Path: filepath.Join(dir, "data"), MaxBad: .1},
		Body:   runs.BodyConfig{Name: glareBody(t, dir), Mean: config.Channels{0, 0, 0}, Std: config.Channels{1, 1, 1}},
		Images: runs.Images{Size: 16, Augment: "none", MaxZoom: 1.1, Crop: "random"}, Machine: m,
		Train: runs.Training{BatchSize: 16, LR: .01, Schedule: "constant", Epochs: 1, Momentum: .9, Optimiser: "sgd",
			Hidden: config.Widths{8}, Dropout: config.Shares{0}},
	}
	run := filepath.Join(dir, "run")
	r, s := learnertest.TrainOn(t, run, config)
	if len(s) != 2 || s[0].Path != "circle/0white.png" && !strings.HasSuffix(s[0].Path, "0white.png") ||
		s[0].Status != features.StatusFailed || !strings.Contains(s[0].Reason, "not a number") {
		t.Fatalf("left out: %+v", s)
	}
	_ = r
	for _, o := range []ScoreOptions{{NoCache: true}, {}, {NoCache: true, TTA: 2}, {TTA: 2}} {
		c := opened(t, run, m)
		rows := scored(t, c, filepath.Join(dir, "data", "valid"), o)
		for path, row := range rows {
			bad := strings.HasSuffix(path, "0white.png")
			if bad != (row["status"] == features.StatusFailed) || bad != (row["predicted"] == "") ||
				!bad && row["status"] != scores.OK {
				t.Errorf("%+v: %s: %v", o, path, row)
			}
		}
	}
	config.Data.MaxBad = 0
	l, err := features.Open(t.Context(), config, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Precompute(t.Context()); err == nil || failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), "0white.png") {
		t.Errorf("with --max-bad 0: %v", err)
	}
}

// dumb is a network whose head makes no numbers where it would give the last class more than limit.
type dumb struct {
	network
	limit float64
}

func (d dumb) finish(rows [][]float32) (logp, odd []float32, err error) {
	logp, odd, err = d.network.finish(rows)
	for i := 0; i+2 <= len(logp); i += 2 {
		if math.Exp(float64(logp[i+1])) > d.limit {
			logp[i], logp[i+1] = float32(math.Inf(-1)), float32(math.Inf(-1))
		}
	}
	return logp, odd, err
}

// Features may be numbers and what the head makes of them none: such a photograph is named, with a cache and without.
func TestAHeadThatMakesNoNumbers(t *testing.T) {
	run, m := learnertest.Trained(t)
	valid := filepath.Join(filepath.Dir(run), "data", "valid")
	c := opened(t, run, m)
	c.Raw() // dumb is behind the temperature
	share, sorted := map[string]float64{}, []float64(nil)
	for path, row := range scored(t, c, valid, ScoreOptions{}) {
		p, err := strconv.ParseFloat(row["p_"+c.Classes[1]], 64)
		if err != nil {
			t.Fatal(err)
		}
		share[path], sorted = p, append(sorted, p)
	}
	slices.Sort(sorted)
	half := len(sorted) / 2
	limit := (sorted[half-1] + sorted[half]) / 2
	for _, o := range []ScoreOptions{{NoCache: true}, {}} {
		c := opened(t, run, m)
		c.Network = dumb{c.Network, limit}
		for path, row := range scored(t, c, valid, o) {
			bad := share[path] > limit
			if bad != (row["status"] == features.StatusFailed) || bad != (row["predicted"] == "") {
				t.Errorf("%+v: %s: %v, its own head gives %g, the limit is %g", o, path, row, share[path], limit)
			}
		}
	}
}
