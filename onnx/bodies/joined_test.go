package bodies

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/onnxtest"
)

// TestJoinedBodies: the features of several bodies, each with its own colours, lie side by side.
func TestJoinedBodies(t *testing.T) {
	onnxtest.Start(t)
	t.Setenv("FINETUNE_HOME", t.TempDir())
	both := "seed:resnet18:7,seed:efficientnet-lite0:7"
	j, err := Resolve(both, Override{})
	if err != nil {
		t.Fatal(err)
	}
	if s := j.Spec; s.Features() != 1024+2560 || s.Size != 224 || s.Kind != VectorFeatures || s.Name !=
		"resnet18+efficientnet-lite0" || len(s.Groups) != 3 || !strings.Contains(s.Prepared, "first body") {
		t.Errorf("%+v", s)
	}
	x := image(224, 2)
	for i, v := range x { // colours from 0 to 1
		x[i] = v/8 + .5
	}
	m, err := FeatureModel(j)
	if err != nil {
		t.Fatal(err)
	}
	got, shape := run(t, m, x, 2, 224)
	if shape[1] != int64(j.Spec.Features()) {
		t.Fatalf("features %v", shape)
	}
	at := 0
	for _, name := range strings.Split(both, ",") {
		b, err := Resolve(name, Override{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := FeatureModel(b)
		if err != nil {
			t.Fatal(err)
		}
		own := make([]float32, len(x))
		for i, v := range x {
			c := i / (224 * 224) % 3
			own[i] = (v - b.Spec.Mean[c]) / b.Spec.Std[c]
		}
		want, _ := run(t, m, own, 2, 224)
		n := b.Spec.Features()
		for row := range 2 {
			near(t, name, got[row*j.Spec.Features()+at:][:n], want[row*n:][:n])
		}
		at += n
	}
	again, err := Resolve(both, Override{})
	if err != nil || again.Spec.Digest != j.Spec.Digest || again.Path != j.Path {
		t.Errorf("again %.12s at %s, %v", again.Spec.Digest, again.Path, err)
	}
	byFile, err := Resolve(j.Path, Override{}) // as a run that is resumed finds it
	if err != nil || byFile.Spec.Features() != j.Spec.Features() {
		t.Errorf("by its file: %v", err)
	}
}

// TestJoinedBodiesRefused: what cannot be said of several bodies at once.
func TestJoinedBodiesRefused(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	for want, c := range map[string]struct {
		text string
		o    Override
	}{
		"add --size":           {"seed:efficientnet-lite0:7,seed:efficientnet-lite1:7", Override{}},
		"--mean is of one":     {"seed:resnet18:7,seed:resnet18:8", Override{Mean: []float32{0, 0, 0}}},
		"not a known network":  {"seed:resnet18:7,nothing", Override{}},
		"--layout is of one":   {"seed:resnet18:7,seed:resnet18:8", Override{Layout: NCHW}},
		"--cut is of one":      {"seed:resnet18:7,seed:resnet18:8", Override{Cut: "x"}},
		"write seed:NAME:NUMB": {"seed:resnet18:7,seed:resnet18", Override{}},
	} {
		if _, err := Resolve(c.text, c.o); err == nil || !strings.Contains(err.Error(), want) ||
			failure.KindOf(err) != failure.UsageKind {
			t.Errorf("%s: %v, want %q", c.text, err, want)
		}
	}
}

// TestCommaInAFileName: a file is a file, whatever its name.
func TestCommaInAFileName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a,b.onnx")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if several(path) || !several("a.onnx,b.onnx") {
		t.Error("a file whose name has a comma is taken for several, or several for one")
	}
}
