package export

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/augment/picture"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/learnertest"
	"finetune/internal/photos"
	"finetune/internal/uitest"
	"finetune/learner/classify"
	"finetune/learner/runs"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/weights"
)

func exportTo(t *testing.T, c *classify.Classifier, o Options) (*Report, string) {
	t.Helper()
	o.Output = filepath.Join(t.TempDir(), "model.onnx")
	r, err := Write(t.Context(), c.Source, c.Machine, o, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	return r, o.Output
}

func TestExportedFileGivesTheRunsProbabilities(t *testing.T) {
	run, m := learnertest.Trained(t)
	c := opened(t, run, m)
	r, path := exportTo(t, c, Options{Golden: 3})
	if r.Photographs != 16 || r.Largest > 1e-5 || r.Flips != 0 {
		t.Errorf("%+v", r)
	}
	file := opened(t, path, m)
	if err := file.SelfTest(t.Context()); err != nil {
		t.Error(err)
	}
	if file.Digest != r.Digest || strings.Join(file.Classes, ",") != "circle,square" || file.Size != 64 {
		t.Errorf("%+v", file)
	}
	valid := filepath.Join(filepath.Dir(run), "data", "valid")
	for _, tta := range []int{0, 2} { // the views of the file are those of the run
		a, b := scored(t, c, valid, classify.ScoreOptions{TTA: tta}),
			scored(t, file, valid, classify.ScoreOptions{TTA: tta, NoCache: true})
		for path, row := range a {
			if row["predicted"] != b[path]["predicted"] || row["status"] != b[path]["status"] {
				t.Errorf("%s, %d views: run %v, file %v", path, tta, row, b[path])
			}
		}
	}
	checkGolden(t, file, filepath.Join(filepath.Dir(path), "golden.safetensors"))
}

func checkGolden(t *testing.T, file *classify.Classifier, path string) {
	t.Helper()
	tensors, meta, err := weights.ReadSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	byName := weights.ByName(tensors)
	got, err := file.Predict(t.Context(), byName[classify.ImageInput].Data, 3)
	if err != nil || meta["sha256"] != file.Digest {
		t.Fatal(err, meta)
	}
	for i, p := range byName[classify.ProbOutput].Data {
		if math.Abs(math.Exp(float64(got[i]))-float64(p)) > 1e-6 {
			t.Errorf("golden value %d is %g, the file gives %g", i, p, math.Exp(float64(got[i])))
		}
	}
}

func TestSmallerPrecisions(t *testing.T) {
	run, m := learnertest.Trained(t)
	c := opened(t, run, m)
	whole, _ := exportTo(t, c, Options{})
	for _, precision := range []string{"float16", "int8"} {
		r, path := exportTo(t, c, Options{Precision: precision})
		if r.Bytes > whole.Bytes*6/10 || r.Flips > 1 || r.Accuracy.File < r.Accuracy.Run-.07 {
			t.Errorf("%s: %+v; float32 has %d bytes", precision, r, whole.Bytes)
		}
		file := opened(t, path, m)
		if err := file.SelfTest(t.Context()); err != nil || file.Precision != precision {
			t.Errorf("%s: %v", file.Precision, err)
		}
	}
}

// The graph scales and crops as augment does, but for the rounding of weights.
func TestWholePhotographsInTheGraph(t *testing.T) {
	run, m := learnertest.Trained(t)
	c := opened(t, run, m)
	_, path := exportTo(t, c, Options{Whole: true})
	file := opened(t, path, m)
	if err := file.SelfTest(t.Context()); err != nil {
		t.Error(err)
	}
	x, y := make([]float32, c.Len()), make([]float32, c.Len())
	for i, size := range [][2]int{{71, 142}, {300, 200}, {64, 64}, {65, 131}, {40, 30}, {1000, 64}} {
		drawn := photos.Draw(i%2, i, size[0], size[1])
		im := &picture.Image{Width: size[0], Height: size[1]}
		for j := range size[0] * size[1] {
			r, g, b, _ := drawn.At(j%size[0], j/size[0]).RGBA()
			im.Pix = append(im.Pix, uint8(r>>8), uint8(g>>8), uint8(b>>8))
		}
		if err := c.Preprocess.Valid(x, im); err != nil {
			t.Fatal(err)
		}
		want, err := c.Predict(t.Context(), x, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Network.Unscaled(y, im); err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(math.Exp(float64(want[0])) - math.Exp(float64(y[0]))); d > .05 {
			t.Errorf("%d × %d: probability differs by %.3g", size[0], size[1], d)
		}
	}
}

func TestFilesThatAreNoExports(t *testing.T) {
	run, m := learnertest.Trained(t)
	c := opened(t, run, m)
	_, path := exportTo(t, c, Options{})
	for name, change := range map[string]func(*graph.Model){
		"no metadata":    func(m *graph.Model) { m.MetadataProps = nil },
		"damaged list":   func(m *graph.Model) { m.SetMeta(runs.MetaClasses, "[") },
		"other classes":  func(m *graph.Model) { m.SetMeta(runs.MetaClasses, `["a","b","c"]`) },
		"damaged images": func(m *graph.Model) { m.SetMeta(classify.MetaPreprocess, `{"size":-1}`) },
	} {
		g, err := graph.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		change(g)
		other := filepath.Join(t.TempDir(), "other.onnx")
		if err := g.Write(other); err != nil {
			t.Fatal(err)
		}
		_, err = classify.Open(other, m, uitest.Logged{T: t})
		if k := failure.KindOf(err); k != failure.UsageKind && k != failure.DataKind ||
			!strings.Contains(err.Error(), other) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, err := graph.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var test classify.SelfTest
	text, _ := g.Meta(classify.MetaSelfTest)
	if err := json.Unmarshal([]byte(text), &test); err != nil {
		t.Fatal(err)
	}
	test.Probabilities[1][0] += .01
	data, err := json.Marshal(test)
	if err != nil {
		t.Fatal(err)
	}
	g.SetMeta(classify.MetaSelfTest, string(data))
	g.MetadataProps = slices.DeleteFunc(g.MetadataProps,
		func(p *onnxpb.StringStringEntryProto) bool { return p.GetKey() == "finetune.crc32c" })
	if err := g.AddChecksum(); err != nil { // whole, but of another model
		t.Fatal(err)
	}
	if err := g.Write(path); err != nil {
		t.Fatal(err)
	}
	if err := opened(t, path, m).SelfTest(t.Context()); err == nil || !strings.Contains(err.Error(), "self-test 2") {
		t.Errorf("a self-test that does not come out: %v", err)
	}
	unfinished := t.TempDir()
	if config, err := os.ReadFile(filepath.Join(run, runs.ConfigFile)); err != nil ||
		os.WriteFile(filepath.Join(unfinished, runs.ConfigFile), config, 0o666) != nil {
		t.Fatal(err)
	}
	if _, err := classify.Open(unfinished, m, uitest.Logged{T: t}); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("a run without a head: %v", err)
	}
}

func opened(t *testing.T, path string, m runs.Machine) *classify.Classifier {
	t.Helper()
	c, err := classify.Open(path, m, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// scored scores root and returns the rows by path.
func scored(t *testing.T, c *classify.Classifier, root string, o classify.ScoreOptions) map[string]map[string]string {
	t.Helper()
	items, _, err := dataset.Files(root)
	if err != nil {
		t.Fatal(err)
	}
	o.Output = filepath.Join(t.TempDir(), "out.csv")
	if _, err := c.Score(t.Context(), items, o, uitest.Logged{T: t}); err != nil {
		t.Fatal(err)
	}
	return learnertest.ReadTable(t, o.Output)
}

// What is advised where an export is too far from its run is another export than the one that was refused.
func TestInsteadOfARefusedExport(t *testing.T) {
	for _, c := range []struct {
		o         Options
		precision string // of the run
		want      string
	}{
		{Options{Precision: runs.Int8}, runs.Float32, "--precision float32"},
		{Options{Precision: runs.Float16}, runs.Float32, "--precision float32"},
		{Options{Precision: runs.Float32, Whole: true}, runs.Float32, "without --uint8"},
		{Options{Precision: runs.Int8, Whole: true}, runs.Int8, "without --uint8"},
		{Options{Precision: runs.Int8}, runs.Int8, "train the run again"},
	} {
		if got := instead(c.o, c.precision); !strings.Contains(got, c.want) {
			t.Errorf("%+v of a run in %s: %q, want %q", c.o, c.precision, got, c.want)
		}
	}
}
