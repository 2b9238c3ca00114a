package learner

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/augment"
	"finetune/internal/failure"
	"finetune/internal/photos"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/weights"
)

func export(t *testing.T, c *Classifier, o ExportOptions) (*ExportReport, string) {
	t.Helper()
	o.Output = filepath.Join(t.TempDir(), "model.onnx")
	r, err := c.Export(t.Context(), o, silent{t})
	if err != nil {
		t.Fatal(err)
	}
	return r, o.Output
}

func TestExportedFileGivesTheRunsProbabilities(t *testing.T) {
	run, m := trained(t)
	c := open(t, run, m)
	r, path := export(t, c, ExportOptions{Golden: 3})
	if r.Photographs != 16 || r.Largest > 1e-5 || r.Flips != 0 {
		t.Errorf("%+v", r)
	}
	file := open(t, path, m)
	if err := file.SelfTest(t.Context()); err != nil {
		t.Error(err)
	}
	if file.Digest != r.Digest || strings.Join(file.Classes, ",") != "circle,square" || file.Size != 64 {
		t.Errorf("%+v", file)
	}
	valid := filepath.Join(filepath.Dir(run), "data", "valid")
	for _, tta := range []int{0, 2} { // the views of the file are those of the run
		a, b := table(t, c, valid, ScoreOptions{TTA: tta}), table(t, file, valid, ScoreOptions{TTA: tta, NoCache: true})
		for path, row := range a {
			if row["predicted"] != b[path]["predicted"] || row["status"] != b[path]["status"] {
				t.Errorf("%s, %d views: run %v, file %v", path, tta, row, b[path])
			}
		}
	}
	checkGolden(t, file, filepath.Join(filepath.Dir(path), "golden.safetensors"))
}

func checkGolden(t *testing.T, file *Classifier, path string) {
	t.Helper()
	tensors, meta, err := weights.ReadSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	byName := weights.ByName(tensors)
	got, err := file.Predict(t.Context(), byName[imageInput].Data, 3)
	if err != nil || meta["sha256"] != file.Digest {
		t.Fatal(err, meta)
	}
	for i, p := range byName[probOutput].Data {
		if math.Abs(math.Exp(float64(got[i]))-float64(p)) > 1e-6 {
			t.Errorf("golden value %d is %g, the file gives %g", i, p, math.Exp(float64(got[i])))
		}
	}
}

func TestSmallerPrecisions(t *testing.T) {
	run, m := trained(t)
	c := open(t, run, m)
	whole, _ := export(t, c, ExportOptions{})
	for _, precision := range []string{"float16", "int8"} {
		r, path := export(t, c, ExportOptions{Precision: precision})
		if r.Bytes > whole.Bytes*6/10 || r.Flips > 1 || r.Accuracy.File < r.Accuracy.Run-.07 {
			t.Errorf("%s: %+v; float32 has %d bytes", precision, r, whole.Bytes)
		}
		file := open(t, path, m)
		if err := file.SelfTest(t.Context()); err != nil || file.Precision != precision {
			t.Errorf("%s: %v", file.Precision, err)
		}
	}
}

// The graph scales and crops as augment does, but for the rounding of weights.
func TestWholePhotographsInTheGraph(t *testing.T) {
	run, m := trained(t)
	c := open(t, run, m)
	_, path := export(t, c, ExportOptions{Whole: true})
	file := open(t, path, m)
	if err := file.SelfTest(t.Context()); err != nil {
		t.Error(err)
	}
	x, y := make([]float32, c.Len()), make([]float32, c.Len())
	for i, size := range [][2]int{{71, 142}, {300, 200}, {64, 64}, {65, 131}, {40, 30}, {1000, 64}} {
		picture := photos.Draw(i%2, i, size[0], size[1])
		im := &augment.Image{Width: size[0], Height: size[1]}
		for j := range size[0] * size[1] {
			r, g, b, _ := picture.At(j%size[0], j/size[0]).RGBA()
			im.Pix = append(im.Pix, uint8(r>>8), uint8(g>>8), uint8(b>>8))
		}
		if err := c.pre.Valid(x, im); err != nil {
			t.Fatal(err)
		}
		want, err := c.Predict(t.Context(), x, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := file.runWhole(y, im); err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(math.Exp(float64(want[0])) - math.Exp(float64(y[0]))); d > .05 {
			t.Errorf("%d × %d: probability differs by %.3g", size[0], size[1], d)
		}
	}
}

func TestFilesThatAreNoExports(t *testing.T) {
	run, m := trained(t)
	c := open(t, run, m)
	_, path := export(t, c, ExportOptions{})
	for name, change := range map[string]func(*graph.Model){
		"no metadata":    func(m *graph.Model) { m.MetadataProps = nil },
		"damaged list":   func(m *graph.Model) { m.SetMeta(metaClasses, "[") },
		"other classes":  func(m *graph.Model) { m.SetMeta(metaClasses, `["a","b","c"]`) },
		"damaged images": func(m *graph.Model) { m.SetMeta(metaPreprocess, `{"size":-1}`) },
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
		_, err = OpenClassifier(other, m, silent{t})
		if k := failure.KindOf(err); k != failure.UsageKind && k != failure.DataKind || !strings.Contains(err.Error(), other) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, err := graph.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var test selfTest
	text, _ := g.Meta(metaSelfTest)
	if err := json.Unmarshal([]byte(text), &test); err != nil {
		t.Fatal(err)
	}
	test.Probabilities[1][0] += .01
	data, err := json.Marshal(test)
	if err != nil {
		t.Fatal(err)
	}
	g.SetMeta(metaSelfTest, string(data))
	g.MetadataProps = slices.DeleteFunc(g.MetadataProps, func(p *onnxpb.StringStringEntryProto) bool { return p.GetKey() == "finetune.crc32c" })
	if err := g.Seal(); err != nil { // whole, but of another model
		t.Fatal(err)
	}
	if err := g.Write(path); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path, m).SelfTest(t.Context()); err == nil || !strings.Contains(err.Error(), "self-test 2") {
		t.Errorf("a self-test that does not come out: %v", err)
	}
	unfinished := t.TempDir()
	if config, err := os.ReadFile(filepath.Join(run, configFile)); err != nil || os.WriteFile(filepath.Join(unfinished, configFile), config, 0o666) != nil {
		t.Fatal(err)
	}
	if _, err := OpenClassifier(unfinished, m, silent{t}); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("a run without a head: %v", err)
	}
}
