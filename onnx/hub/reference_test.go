package hub_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"finetune/augment"
	"finetune/augment/picture"
	"finetune/onnx/hub"
)

// reference is testdata/reference/hub_preprocess.json, which hub_preprocess.py writes.
type reference struct {
	Pictures [][3]int `json:"pictures"`
	Cases    []struct {
		Name    string          `json:"name"`
		File    string          `json:"file"`
		Config  json.RawMessage `json:"config"`
		Shape   []int           `json:"shape"`
		Tensors []struct {
			Every []float64 `json:"every"`
			Mean  float64   `json:"mean"`
		} `json:"tensors"`
	} `json:"cases"`
}

func readReference(t *testing.T) (r reference) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/reference/hub_preprocess.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// made is pixels() of the script.
func made(w, h, seed int) *picture.Image {
	im := &picture.Image{Width: w, Height: h, Pix: make([]uint8, 3*w*h)}
	for y := range h {
		for x := range w {
			for c := range 3 {
				smooth := x*(seed+2)/3 + y*(2*seed+3)/5 + 85*c
				edges := 40 * ((x/7 + y/(5+seed)) % 3)
				im.Pix[3*(y*w+x)+c] = uint8(smooth + edges)
			}
		}
	}
	return im
}

// TestPreprocessingEqualsTheirs: tensors of four pictures as transformers, timm and torchvision make them by the
// configurations that hubs keep; a pixel differs by 1 of 255 on average at most.
func TestPreprocessingEqualsTheirs(t *testing.T) {
	r := readReference(t)
	if len(r.Cases) < 14 {
		t.Fatalf("%d cases", len(r.Cases))
	}
	for _, c := range r.Cases {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.File), c.Config, 0o666); err != nil {
			t.Fatal(err)
		}
		p, err := hub.Read(filepath.Join(dir, "model.onnx"))
		if err != nil || p == nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		pre := augment.Preprocess{Size: p.Size, Resize: p.Resize, Floor: p.Floor, Resample: p.Resample,
			Mean: p.Mean, Std: p.Std}
		if p.Squash {
			pre.Crop = "no"
		}
		if c.Shape[1] != p.Size {
			t.Errorf("%s: %d pixels, want %d", c.Name, p.Size, c.Shape[1])
			continue
		}
		for i, want := range c.Tensors {
			x := make([]float32, pre.Len())
			if err := pre.Valid(x, made(r.Pictures[i][0], r.Pictures[i][1], r.Pictures[i][2])); err != nil {
				t.Fatal(err)
			}
			plane := p.Size * p.Size
			if p.BGR {
				for k := range plane {
					x[k], x[2*plane+k] = x[2*plane+k], x[k]
				}
			}
			sum, worst := 0.0, 0.0
			for k, v := range want.Every {
				// in units of a pixel from 0 to 255
				d := math.Abs(float64(x[997*k])-v) * 255 * float64(p.Std[997*k/plane])
				sum += d
				worst = max(worst, d)
			}
			mean := sum / float64(len(want.Every))
			t.Logf("%-22s picture %d: mean difference %.3f, largest %.1f of 255", c.Name, i, mean, worst)
			if mean > 1 {
				t.Errorf("%s, picture %d: mean difference of a pixel %.2f of 255, at most 1", c.Name, i, mean)
			}
		}
	}
}
