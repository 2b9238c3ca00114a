package augment

import (
	"encoding/json"
	"math"
	"testing"

	"finetune/augment/picture"
	"finetune/internal/picturetest"
)

func worstDiff(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	w := 0.0
	for i := range a {
		w = max(w, math.Abs(float64(a[i])-float64(b[i])))
	}
	return w
}

func input(t testing.TB) *raster {
	v := picturetest.Vectors(t)["input"]
	r := new(raster)
	r.setImage(&picture.Image{Width: v.Shape[1], Height: v.Shape[0], Pix: v.Bytes})
	return r
}

// rounding of float32 sums whose order OpenCV's vector code may change.
const areaTolerance = 1.5e-7

func TestAreaVectors(t *testing.T) {
	src := input(t)
	picturetest.Each(t, "area/", func(t *testing.T, name string, v picturetest.Vector) {
		in, out := src, new(raster)
		if name == "whole" { // both factors whole: OpenCV takes another path there
			c := &canvas{cur: raster{src.w, src.h, append([]float32(nil), src.pix...)}}
			cut(c, 0, 0, 36, 20)
			in = &c.cur
		}
		area(out, in, v.Shape[1], v.Shape[0])
		if d := worstDiff(out.pix, v.F32); d > areaTolerance {
			t.Errorf("worst difference from OpenCV %g, tolerance %g", d, areaTolerance)
		}
	})
}

func TestRotateVectors(t *testing.T) {
	src := input(t)
	picturetest.Each(t, "rotate/", func(t *testing.T, name string, v picturetest.Vector) {
		var angle float64
		if err := json.Unmarshal([]byte(name), &angle); err != nil {
			t.Fatal(err)
		}
		out := new(raster)
		rotate(out, src, angle)
		if d := worstDiff(out.pix, v.F32); d > 0 {
			t.Errorf("worst difference from OpenCV %g, none expected", d)
		}
	})
}

func TestPadVectors(t *testing.T) {
	c := &canvas{cur: *input(t)}
	addPadding(5)(c, nil)
	if d := worstDiff(c.cur.pix, picturetest.Vectors(t)["pad/5"].F32); d != 0 {
		t.Errorf("worst difference from OpenCV %g, none expected", d)
	}
}

// The whole validation view of the reference: Scale, CenterCrop, Normalize.
func TestValidVectors(t *testing.T) {
	all := picturetest.Vectors(t)
	in := all["input"]
	im := &picture.Image{Width: in.Shape[1], Height: in.Shape[0], Pix: in.Bytes}
	picturetest.Each(t, "valid/", func(t *testing.T, _ string, v picturetest.Vector) {
		p := Preprocess{Size: v.Shape[1], Mean: ImageNetMean, Std: ImageNetStd, Resample: Area}
		got := make([]float32, p.Len())
		if err := p.Valid(got, im); err != nil {
			t.Fatal(err)
		}
		if d, tol := worstDiff(got, v.F32), areaTolerance/0.224; d > tol {
			t.Errorf("worst difference from OpenCV %g, tolerance %g", d, tol)
		}
	})
	p := Preprocess{Size: 16, Std: [3]float32{1, 1, 1}, Resample: Area, Crop: "no"}
	got := make([]float32, p.Len())
	if err := p.Valid(got, im); err != nil {
		t.Fatal(err)
	}
	want := all["squash/16"].F32
	for i := range want {
		if c := i % 3; math.Abs(float64(got[c*256+i/3]-want[i])) > 2*areaTolerance {
			t.Fatalf("crop no: value %d is %v, OpenCV gives %v", i, got[c*256+i/3], want[i])
		}
	}
}
