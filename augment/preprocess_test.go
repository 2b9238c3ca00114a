package augment

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"finetune/augment/picture"
	"finetune/internal/failure"
	"finetune/internal/picturetest"
	"finetune/internal/rng"
)

var plain = Preprocess{Size: 8, Std: [3]float32{1, 1, 1}}

// The text is a part of cache keys and of saved models: it is a format.
func TestPreprocessString(t *testing.T) {
	for want, p := range map[string]Preprocess{
		"v1 size=224 mean=[0.485 0.456 0.406] std=[0.229 0.224 0.225] resample=nfnt crop=center pad=0 jpeg=": {Size: 224,
			Mean: ImageNetMean, Std: ImageNetStd},
		"v1 size=8 mean=[0 0 0] std=[1 1 1] resample=area crop=no pad=3 jpeg=": {Size: 8, Std: plain.Std, Resample: Area,
			Crop: "no", Pad: 3},
		"v1 size=8 mean=[0 0 0] std=[1 1 1] resample=nfnt crop=noop pad=2 jpeg=": {Size: 8, Std: plain.Std, Crop: "noop",
			Pad: 2},
	} {
		if got := p.String(); got != want+picture.Decoder() {
			t.Errorf("%s, want %s%s", got, want, picture.Decoder())
		}
		if p.Depth = (picture.Depth{Min: 0, Max: 4095}); p.String() != want+picture.Decoder()+" depth=0,4095" {
			t.Errorf("%s", p.String())
		}
	}
	// one view, one text: the border is cut away again
	for _, crop := range []string{"", "random", "googlenet", "center"} {
		p := plain
		if p.Crop, p.Pad = crop, 5; p.String() != plain.String() {
			t.Errorf("%q: %s", crop, p.String())
		}
		im := noise(30, 20, 1)
		got, want := make([]float32, p.Len()), make([]float32, p.Len())
		if err := errors.Join(p.Valid(got, im), plain.Valid(want, im)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: other values, %v", crop, err)
		}
	}
}

func TestPreprocessCheck(t *testing.T) {
	change := func(f func(*Preprocess)) Preprocess { p := plain; f(&p); return p }
	for name, c := range map[string]struct {
		p    Preprocess
		want string
	}{
		"plain":        {plain, ""},
		"one pixel":    {change(func(p *Preprocess) { p.Size = 1 }), ""},
		"4096":         {change(func(p *Preprocess) { p.Size = 4096 }), ""},
		"no size":      {change(func(p *Preprocess) { p.Size = 0 }), "size 0"},
		"4097":         {change(func(p *Preprocess) { p.Size = 4097 }), "size 4097"},
		"resampler":    {change(func(p *Preprocess) { p.Resample = "cubic" }), `no resampler "cubic"`},
		"crop":         {change(func(p *Preprocess) { p.Crop = "left" }), `no crop "left"`},
		"no deviation": {change(func(p *Preprocess) { p.Std = [3]float32{} }), "std"},
		"border":       {change(func(p *Preprocess) { p.Crop, p.Pad = "no", 1024 }), ""},
		"wide border":  {change(func(p *Preprocess) { p.Crop, p.Pad = "no", 1025 }), "--pad 1025"},
		"no border":    {change(func(p *Preprocess) { p.Crop, p.Pad = "no", -1 }), "--pad -1"},
	} {
		err := c.p.Check()
		if (err == nil) != (c.want == "") ||
			err != nil && (failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if c.want == "" {
			continue
		}
		im, x := noise(9, 9, 1), make([]float32, max(0, c.p.Len()))
		for _, err := range []error{c.p.Valid(x, im), c.p.Load(x, encoded(t, im), picture.Limits{}),
			c.p.Augmented(x, im, Policy{Name: "none", Crop: "random"}, rng.New(1))} {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// What a caller got wrong is an error, never values from elsewhere.
func TestArgumentsAreChecked(t *testing.T) {
	im, pol := noise(9, 9, 1), Policy{Name: "none", Crop: "random"}
	data := encoded(t, im)
	for _, n := range []int{0, plain.Len() - 1, plain.Len() + 1} {
		x := make([]float32, n)
		for _, err := range []error{plain.Valid(x, im), plain.Load(x, data, picture.Limits{}),
			plain.Augmented(x, im, pol, rng.New(1))} {
			if err == nil || !strings.Contains(err.Error(), "[3, 8, 8] takes 192") {
				t.Errorf("%d values: %v", n, err)
			}
		}
	}
	x := make([]float32, plain.Len())
	for name, im := range map[string]*picture.Image{"none": nil, "empty": {}, "flat": {Width: 3}, "thin": {Height: 3},
		"short": {Width: 2, Height: 2, Pix: make([]uint8, 11)},
		"long":  {Width: 2, Height: 2, Pix: make([]uint8, 13)}, "negative": {Width: -2, Height: -2, Pix: make([]uint8, 12)}} {
		for _, err := range []error{plain.Valid(x, im), plain.Augmented(x, im, pol, rng.New(1))} {
			if err == nil || !strings.Contains(err.Error(), "use the result of Decode") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name, pol := range map[string]Policy{"name": {Name: "odd", Crop: "random"},
		"zoom": {Name: "none", MaxZoom: 5, Crop: "random"}, "crop": {Name: "none"}} {
		if err := plain.Augmented(x, im, pol, rng.New(1)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := plain.Augmented(x, noise(9, 18, 1), Policy{Name: "none", Crop: "noop"}, rng.New(1)); err == nil ||
		!strings.Contains(err.Error(), "8 × 16") {
		t.Errorf("noop: %v", err)
	}
}

// A strip may grow to 2^24 pixels, no further.
func TestStrips(t *testing.T) {
	for _, c := range []struct {
		w, h, size int
		ok         bool
	}{
		{4096, 4096, 4096, true}, {4097, 4096, 4096, false}, {4096, 4097, 4096, false}, {1 << 16, 1 << 8, 1 << 8, true},
		{1<<16 + 1, 1 << 8, 1 << 8, false}, {1, 1, 4096, true}, {2, 1, 4096, false},
	} {
		err := fits(&picture.Image{Width: c.w, Height: c.h}, c.size)
		if c.ok != (err == nil) {
			t.Errorf("%+v: %v", c, err)
		} else if err != nil {
			wantTooLarge(t, "strip", err, fmt.Sprintf("%d × %d pixels", c.w, c.h), "crop the strip")
		}
	}
	pol := Policy{Name: "none", MaxZoom: 4, Crop: "random"}
	p := Preprocess{Size: 64, Std: plain.Std}
	// 64,000 × 64, and four times that each way
	x, strip := make([]float32, p.Len()), &picture.Image{Width: 2000, Height: 2, Pix: make([]uint8, 12000)}
	if err := p.Valid(x, strip); err != nil {
		t.Error(err)
	}
	wantTooLarge(t, "zoomed", p.Augmented(x, strip, pol, rng.New(1)))
	pol.MaxZoom = 0
	if err := p.Augmented(x, strip, pol, rng.New(1)); err != nil {
		t.Error(err)
	}
}

// A picture of the right size comes out as it went in, by every way back.
func TestTensorAndBack(t *testing.T) {
	im := noise(8, 8, 5)
	for _, resample := range []string{NFNT, Area} {
		p := Preprocess{Size: 8, Mean: ImageNetMean, Std: ImageNetStd, Resample: resample}
		x := make([]float32, p.Len())
		if err := p.Valid(x, im); err != nil {
			t.Fatal(err)
		}
		for i, v := range im.Pix {
			c, at := i%3, i/3
			if want := (float64(v)/255 - float64(p.Mean[c])) / float64(p.Std[c]); math.Abs(float64(x[64*c+at])-want) > 1e-5 {
				t.Fatalf("%s: value %d of channel %d is %g, want %g", resample, at, c, x[64*c+at], want)
			}
		}
		if got := p.ToImage(x); !slices.Equal(got.Pix, picturetest.RGBA(im.Width, im.Height, im.Pix).Pix) ||
			got.Rect.Dx() != 8 ||
			got.Rect.Dy() != 8 {
			t.Errorf("%s: the picture differs", resample)
		}
	}
	p := Preprocess{Size: 1, Mean: ImageNetMean, Std: ImageNetStd}
	x := []float32{-50, 50, 0}
	if got := p.ToImage(x); !slices.Equal(got.Pix, []uint8{0, 255, 104, 255}) { // 0.406 of 255 is 103.5
		t.Errorf("%v", got.Pix)
	}
}

// The validation view with a border: scaled, framed, then squashed or left.
func TestValidWithABorder(t *testing.T) {
	im := noise(20, 14, 6)
	for _, resample := range []string{NFNT, Area} {
		for _, crop := range []string{"no", "noop"} {
			p := Preprocess{Size: 12, Mean: ImageNetMean, Std: ImageNetStd, Resample: resample, Crop: crop, Pad: 2}
			got := make([]float32, p.Len())
			if err := p.Valid(got, im); crop == "noop" {
				if err == nil {
					t.Error("a picture of another size was taken")
				}
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			var w worker
			w.scale(im, 12, resample)
			addPadding(2)(&w.canvas, nil)
			squash(12)(&w.canvas, nil)
			for i, v := range got {
				if want := (w.cur.pix[i%144*3+i/144] - p.Mean[i/144]) / p.Std[i/144]; v != want {
					t.Fatalf("%s: value %d is %g, want %g", resample, i, v, want)
				}
			}
		}
	}
}
