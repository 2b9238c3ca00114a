package augment

import (
	"math"
	"slices"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/rng"
)

func TestBoundsOfAPolicy(t *testing.T) {
	for _, c := range []struct {
		p  Policy
		ok bool
	}{
		{Policy{"basic", 0, 0, "random"}, true}, {Policy{"basic", 1, 1024, "no"}, true},
		{Policy{"flips", 4, 0, "noop"}, true}, {Policy{"none", 1.5, 1, "googlenet"}, true},
		{Policy{"basic", 0.999, 0, "random"}, false}, {Policy{"basic", 4.001, 0, "random"}, false},
		{Policy{"basic", -1, 0, "random"}, false},
		{Policy{"basic", math.Inf(1), 0, "random"}, false}, {Policy{"basic", 1, 1025, "random"}, false},
		{Policy{"basic", 1, -1, "random"}, false},
		{Policy{"Basic", 1, 0, "random"}, false}, {Policy{"basic", 1, 0, "centre"}, false},
	} {
		p, err := ParsePolicy(c.p.Name, c.p.MaxZoom, c.p.Pad, c.p.Crop)
		if c.ok && (err != nil || p != c.p) || !c.ok && (failure.KindOf(err) != failure.UsageKind || p != Policy{}) {
			t.Errorf("%+v: %+v, %v", c.p, p, err)
		}
	}
	for _, c := range []struct {
		p    Policy
		want int
	}{{Policy{Crop: "random"}, 448}, {Policy{Crop: "random", MaxZoom: 1}, 448}, {Policy{Crop: "no", MaxZoom: 1.1},
		493}, {Policy{Crop: "noop", MaxZoom: 4}, 1792}, {Policy{Crop: "googlenet", MaxZoom: 2}, 0}} {
		if got := c.p.MinSide(224); got != c.want {
			t.Errorf("%+v: %d pixels, want %d", c.p, got, c.want)
		}
	}
}

// cropped is the part that GoogLeNet's crop takes of w × h, as its comment tells
// the draws; ok is false where ten tries did not fit.
func cropped(s *rng.Stream, w, h int) (x, y, cw, ch int, ok bool) {
	swap := s.Float64() < 0.5
	for range 10 {
		area := (0.08 + 0.92*s.Float64()) * float64(w) * float64(h)
		ratio := 0.75 + (1.333-0.75)*s.Float64()
		a, b := int(math.Round(math.Sqrt(area*ratio))), int(math.Round(math.Sqrt(area/ratio)))
		if swap {
			a, b = b, a
		}
		if a > w || b > h || a == 0 || b == 0 {
			continue
		}
		if a < w {
			x = int(s.Float64() * float64(w-a+1))
		}
		if b < h {
			y = int(s.Float64() * float64(h-b+1))
		}
		return x, y, a, b, true
	}
	return 0, 0, 0, 0, false
}

// Each part is cut and squashed as drawn, and the middle where none fits.
func TestGoogleNetParts(t *testing.T) {
	fitted, not := 0, 0
	for _, size := range [][2]int{{40, 30}, {30, 41}, {100, 9}, {9, 77}, {2, 2}, {3, 1}} {
		im := noise(size[0], size[1], 9)
		for seed := range uint64(60) {
			got, want := &canvas{}, &canvas{}
			got.cur.setImage(im)
			want.cur.setImage(im)
			s, twin := rng.New(seed), rng.New(seed)
			googleNetResize(12)(got, s)
			if x, y, w, h, ok := cropped(twin, im.Width, im.Height); ok {
				fitted++
				cut(want, x, y, w, h)
				area(&want.spare, &want.cur, 12, 12)
				want.swap()
			} else {
				not++
				w, h := scaledSize(im.Width, im.Height, 12)
				area(&want.spare, &want.cur, w, h)
				want.swap()
				cut(want, (w-11)/2, (h-11)/2, 12, 12)
			}
			if *s != *twin || got.cur.w != 12 || got.cur.h != 12 || !slices.Equal(got.cur.pix, want.cur.pix) {
				t.Fatalf("%v, seed %d: another part, or %d draws and not %d", size, seed, s.N, twin.N)
			}
		}
	}
	if fitted < 60 || not < 20 {
		t.Errorf("%d parts fitted, %d did not: the test has no point", fitted, not)
	}
}

// What each policy and crop is, as their comments say: scale, border, turn,
// light, mirror, crop, in this order and with these draws.
func TestPoliciesAreTheirTransforms(t *testing.T) {
	im := noise(50, 37, 8)
	for _, resample := range []string{NFNT, Area} {
		for _, name := range Policies {
			for _, crop := range Crops {
				for seed := range uint64(6) {
					p := Preprocess{Size: 24, Mean: ImageNetMean, Std: ImageNetStd, Resample: resample}
					pol := Policy{name, 1.4, 3, crop}
					got := make([]float32, p.Len())
					if err := p.Augmented(got, im, pol, rng.New(seed)); crop == "noop" {
						if err == nil {
							t.Fatalf("%v: a picture of another size was taken", pol)
						}
						continue
					} else if err != nil {
						t.Fatal(err)
					}
					s := rng.New(seed)
					var w worker
					if crop == "googlenet" {
						w.cur.setImage(im)
					} else if size := 24; s.Float64() < 0.75 {
						size = int((1 + 0.4*s.Float64()) * 24)
						w.scale(im, size, resample)
					} else {
						w.scale(im, size, resample)
					}
					c := &w.canvas
					addPadding(3)(c, s)
					if name == "basic" || name == "side-on" || name == "top-down" {
						randomRotate(10, 0.75)(c, s)
						randomLighting(0.05, 0.05)(c, s)
					}
					if name == "side-on" || name == "flips" {
						randomFlip(0.5)(c, s)
					}
					if name == "flips" {
						randomUpset(0.5)(c, s)
					}
					if name == "top-down" {
						randomDihedral()(c, s)
					}
					switch crop {
					case "random":
						randomCrop(24)(c, s)
					case "center":
						centerCrop(24)(c, s)
					case "no":
						squash(24)(c, s)
					case "googlenet":
						googleNetResize(24)(c, s)
					}
					for i, v := range got {
						if want := (c.cur.pix[i%576*3+i/576] - p.Mean[i/576]) / p.Std[i/576]; v != want {
							t.Fatalf("%s %v, seed %d: value %d is %g, want %g", resample, pol, seed, i, v, want)
						}
					}
				}
			}
		}
	}
}

// A turn keeps what lies at the middle, and reflects what it needs from outside.
func TestRotationAboutTheMiddle(t *testing.T) {
	r := new(raster)
	r.setImage(noise(31, 21, 7))
	out := new(raster)
	for _, degrees := range []float64{-180, -90, -33.3, 0, 7.5, 90, 180, 359} {
		rotate(out, r, degrees)
		if at := 3 * (10*31 + 15); out.w != 31 || out.h != 21 || worstDiff(out.pix[at:at+3], r.pix[at:at+3]) > 1e-6 {
			t.Errorf("%g degrees move the middle", degrees)
		}
	}
	rotate(out, r, 180)
	for y := 1; y < 21; y++ {
		for x := 1; x < 31; x++ {
			if a, b := out.pix[3*(31*y+x):][:3], r.pix[3*(31*(20-y)+30-x):][:3]; worstDiff(a, b) > 1e-6 {
				t.Fatalf("half a turn: %d, %d is %v, want %v", x, y, a, b)
			}
		}
	}
	rotate(out, r, 90) // counter-clockwise: what was on the right is above
	for d := -9; d < 10; d++ {
		if a, b := out.pix[3*(31*(10-d)+15):][:3], r.pix[3*(31*10+15+d):][:3]; worstDiff(a, b) > 1e-6 {
			t.Fatalf("a quarter: %v, want %v", a, b)
		}
	}
	rotate(out, r, 0)
	if !slices.Equal(out.pix, r.pix) {
		t.Error("no turn changes the picture")
	}
}

// Contrast stretches about the mean, brightness shifts, and the ends hold.
func TestLightingIsSymmetric(t *testing.T) {
	for _, c := range []float64{0, 0.05, 0.5} {
		r := grey(4, 1, .3, .4, .6, .7)
		lighting(r, 0, c)
		lighting(r, 0, -c)
		if got := greys(t, r); !near(got, []float32{.3, .4, .6, .7}, 1e-6) {
			t.Errorf("contrast %g and back: %v", c, got)
		}
	}
	r := grey(2, 1, .2, .9)
	lighting(r, -.5, 0)
	if got := greys(t, r); !near(got, []float32{0, .4}, 1e-6) {
		t.Errorf("darker: %v", got)
	}
	r = &raster{2, 1, []float32{.2, .4, .6, .4, .6, .8}} // the mean is that of all channels, 0.5
	lighting(r, 0, .1)
	if !near(r.pix, []float32{.17, .39, .61, .39, .61, .83}, 1e-6) {
		t.Errorf("colours: %v", r.pix)
	}
	if a, b := rng.New(3), rng.New(3); true { // the light is drawn before the contrast
		c := &canvas{cur: *grey(2, 1, .4, .6)}
		randomLighting(.05, .2)(c, a)
		want := grey(2, 1, .4, .6)
		light := b.Uniform(-.05, .05)
		lighting(want, light, b.Uniform(-.2, .2))
		if !slices.Equal(c.cur.pix, want.pix) || *a != *b {
			t.Errorf("%v, want %v", c.cur.pix, want.pix)
		}
	}
}
