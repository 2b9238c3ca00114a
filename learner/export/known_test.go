package export

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"finetune/augment/picture"
	"finetune/calibration"
	"finetune/internal/failure"
	"finetune/internal/learnertest"
	"finetune/learner/classify"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/onnx/weights"
	"finetune/scores"
)

// said are the log-probabilities of a made-up picture, by its seed.
func said(t *testing.T, c *classify.Classifier) []float32 {
	t.Helper()
	p, err := c.TestProbabilities(context.Background(), 2)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func apart(a, b []float32) (most float64) {
	for i := range a {
		most = max(most, math.Abs(float64(a[i]-b[i])))
	}
	return most
}

// TestTemperature: a run, and the file it is exported to, divide logits by the temperature of
// held-out photographs; --raw does not, and a run of an older program has none.
func TestTemperature(t *testing.T) {
	run, m := learnertest.Trained(t)
	c := opened(t, run, m)
	sum, err := runs.ReadSummary(run)
	if err != nil || sum.Calibration == nil {
		t.Fatal(err, sum.Calibration)
	}
	temperature := sum.Calibration.Temperature
	if c.Known.Temperature != temperature || sum.Calibration.HeldOut != 32 || math.Abs(temperature-1) < .01 {
		t.Fatalf("temperature %g, in the summary %+v", c.Known.Temperature, sum.Calibration)
	}
	scaled, raw := said(t, c), opened(t, run, m)
	raw.Raw()
	plain := said(t, raw)
	logp := make([]float32, len(plain))
	for i, p := range plain {
		logp[i] = float32(math.Log(float64(p)))
	}
	calibration.Scale(logp, 2, false, temperature)
	for i, v := range logp {
		if d := math.Abs(math.Exp(float64(v)) - float64(scaled[i])); d > 1e-6 {
			t.Errorf("class %d: %g, raw %g, want %g", i, scaled[i], plain[i], math.Exp(float64(v)))
		}
	}
	if raw.Digest == c.Digest {
		t.Error("raw probabilities under the same digest")
	}

	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{runs.CalibrationFile, "SHA256SUMS"} {
		if err := os.Remove(filepath.Join(old, name)); err != nil {
			t.Fatal(err)
		}
	}
	before := opened(t, old, m)
	if d := apart(said(t, before), plain); d != 0 {
		t.Errorf("a run without a temperature differs from raw probabilities by %g", d)
	}
	digest := before.Digest
	if before.Raw(); before.Digest != digest {
		t.Error("raw changes the digest of a run without a temperature")
	}

	_, path := exportTo(t, c, Options{})
	file := opened(t, path, m)
	if d := apart(said(t, file), scaled); d > 1e-5 {
		t.Errorf("the file differs by %g", d)
	}
	if file.Raw(); apart(said(t, file), plain) > 1e-5 {
		t.Errorf("the file's raw probabilities differ by %g", apart(said(t, file), plain))
	}
	_, path = exportTo(t, c, Options{Raw: true})
	if d := apart(said(t, opened(t, path, m)), plain); d > 1e-5 {
		t.Errorf("a raw export differs by %g", d)
	}
}

// oddness of made-up pictures.
func oddness(t *testing.T, c *classify.Classifier) (out []float32) {
	t.Helper()
	if !c.KnowsOdd() {
		t.Fatalf("%s does not know the oddness", c.Source)
	}
	for seed := range 4 {
		im := &picture.Image{Width: c.Size, Height: c.Size, Pix: make([]uint8, 3*c.Size*c.Size)}
		for i := range im.Pix {
			im.Pix[i] = features.PatternByte(seed, i%3, i/3/c.Size, i/3%c.Size)
		}
		x := make([]float32, c.Len())
		if err := c.Network.Unscaled(x, im); err != nil {
			t.Fatal(err)
		}
		_, odd, err := c.PredictOdd(t.Context(), x, 1)
		if err != nil || len(odd) != 1 {
			t.Fatal(odd, err)
		}
		out = append(out, odd...)
	}
	return out
}

// TestOddness: a file says what its run says, in each precision and with its scaling inside;
// both tell it in the table, and reject by it.
func TestOddness(t *testing.T) {
	run, m := learnertest.Trained(t)
	c := opened(t, run, m)
	want := oddness(t, c)
	for _, tt := range []struct {
		o     Options
		bound float64
	}{{Options{Golden: 2}, 1e-4}, {Options{Whole: true}, 1e-4}, {Options{Precision: "float16"}, .02},
		{Options{Precision: "int8"}, .2}} {
		_, path := exportTo(t, c, tt.o)
		file := opened(t, path, m)
		got := oddness(t, file)
		for i, v := range got {
			if d := math.Abs(float64(v/want[i] - 1)); d > tt.bound {
				t.Errorf("%+v: picture %d has oddness %g, in the run %g", tt.o, i, v, want[i])
			}
		}
		if tt.o.Golden == 0 {
			continue
		}
		tensors, _, err := weights.ReadSafetensors(GoldenFile(path))
		if n := len(weights.ByName(tensors)[classify.OddOutput].Data); err != nil || n != 2 {
			t.Errorf("%d golden values of oddness, %v", n, err)
		}
		valid := filepath.Join(filepath.Dir(run), "data", "valid")
		for _, o := range []classify.ScoreOptions{{}, {NoCache: true}, {TTA: 2}, {TTA: 2, NoCache: true}} {
			a, b := scored(t, c, valid, o), scored(t, file, valid, o)
			for path, row := range a {
				x, errX := strconv.ParseFloat(row["oddness"], 64)
				y, errY := strconv.ParseFloat(b[path]["oddness"], 64)
				if errX != nil || errY != nil || math.Abs(x-y) > 1e-4 {
					t.Errorf("%+v, %s: oddness %s in the run, %s in the file", o, path, row["oddness"], b[path]["oddness"])
				}
			}
		}
		rejects(t, file)
	}
}

// rejects scores a photograph that is unlike those of training.
func rejects(t *testing.T, c *classify.Classifier) {
	t.Helper()
	dir := t.TempDir()
	var b bytes.Buffer
	im := image.NewNRGBA(image.Rect(0, 0, 90, 90))
	for i := range im.Pix {
		im.Pix[i] = uint8(i * i * 7 / 5 % 251)
	}
	err := png.Encode(&b, im)
	if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "noise.png"), b.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
	for _, o := range []classify.ScoreOptions{{}, {Odd: classify.OddReject}, {Odd: classify.OddReject, NoCache: true}} {
		row := scored(t, c, dir, o)["noise.png"]
		v, err := strconv.ParseFloat(row["oddness"], 64)
		if err != nil || v <= 1 {
			t.Fatalf("oddness %s", row["oddness"])
		}
		status, empty := "ok", false
		if o.Odd == classify.OddReject {
			status, empty = "odd", true
		}
		if row["status"] != status || (row["predicted"] == "") != empty || (row["reason"] == "") == empty {
			t.Errorf("%+v: %v", o, row)
		}
	}
}

// TestFilesOfOlderPrograms: a file without oddness and temperature is scored as before, and
// says so where it is asked for more.
func TestFilesOfOlderPrograms(t *testing.T) {
	run, m := learnertest.Trained(t)
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{runs.CalibrationFile, "SHA256SUMS"} {
		if err := os.Remove(filepath.Join(old, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, path := exportTo(t, opened(t, old, m), Options{})
	valid := filepath.Join(filepath.Dir(run), "data", "valid")
	for _, c := range []*classify.Classifier{opened(t, old, m), opened(t, path, m)} {
		for name, row := range scored(t, c, valid, classify.ScoreOptions{NoCache: true}) {
			if _, ok := row["oddness"]; ok || row["status"] != "ok" {
				t.Errorf("%s: %v", name, row)
			}
		}
		for _, o := range []classify.ScoreOptions{{Odd: classify.OddReject},
			{Table: scores.Options{Coverage: .9}}, {Table: scores.Options{Coverage: .3}}, {Odd: "x"}} {
			if _, err := c.Table(o); failure.KindOf(err) != failure.UsageKind {
				t.Errorf("%+v: %v", o, err)
			}
		}
	}
}

// TestCalibrationFileMissing: a finished run whose list names the file is damaged without it.
func TestCalibrationFileMissing(t *testing.T) {
	run, _ := learnertest.Trained(t)
	old := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(old, os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(old, runs.CalibrationFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func() error{
		func() error { data[len(data)/2] ^= 1; return os.WriteFile(path, data, 0o666) },
		func() error { return os.Remove(path) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if _, err := runs.ReadCalibration(old); err == nil {
			t.Error("damage passes")
		}
	}
}
