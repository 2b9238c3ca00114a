package augment

import (
	"math"
	"slices"
	"sync"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/rng"
)

func TestParsePolicy(t *testing.T) {
	for _, c := range []struct {
		name string
		zoom float64
		pad  int
		crop string
		want string
	}{
		{"side-on", 1.1, 0, "", "side-on/zoom1.1/pad0/random"},
		{"", 0, 4, "center", "none/zoom0/pad4/center"},
		{"top-down", 1, 0, "googlenet", "top-down/zoom1/pad0/googlenet"},
	} {
		p, err := ParsePolicy(c.name, c.zoom, c.pad, c.crop)
		if err != nil || p.String() != c.want {
			t.Errorf("%+v: %q, %v", c, p, err)
		}
	}
	for _, c := range []struct {
		name string
		zoom float64
		pad  int
		crop string
	}{
		{"sideways", 1, 0, ""}, {"basic", 0.9, 0, ""}, {"basic", math.NaN(), 0, ""}, {"basic", 1, -1, ""},
		{"basic", 1, 0, "left"},
	} {
		if p, err := ParsePolicy(c.name, c.zoom, c.pad, c.crop); failure.KindOf(err) != failure.UsageKind {
			t.Errorf("%+v was taken as %v (%v)", c, p, err)
		}
	}
}

// One training view by hand, transform by transform, against Augmented.
func TestAugmentedComposesInOrder(t *testing.T) {
	im := noise(60, 45, 3)
	p := Preprocess{Size: 32, Mean: ImageNetMean, Std: ImageNetStd, Resample: Area}
	pol, err := ParsePolicy("side-on", 1.3, 3, "")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		got := make([]float32, p.Len())
		if err := p.Augmented(got, im, pol, rng.New(seed)); err != nil {
			t.Fatal(err)
		}
		s := rng.New(seed)
		size := 32
		if s.Float64() < 0.75 {
			size = int(s.Uniform(1, 1.3) * 32)
		}
		c := &canvas{}
		c.spare.setImage(im)
		w, h := scaledSize(60, 45, size)
		area(&c.cur, &c.spare, w, h)
		addPadding(3)(c, s)
		randomRotate(10, 0.75)(c, s)
		randomLighting(0.05, 0.05)(c, s)
		randomFlip(0.5)(c, s)
		randomCrop(32)(c, s)
		want := make([]float32, p.Len())
		for i := range want {
			want[i] = (c.cur.pix[i%1024*3+i/1024] - p.Mean[i/1024]) / p.Std[i/1024]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: the view differs from its transforms one by one", seed)
		}
	}
}

// Every policy, crop and resampler gives finite values of the right shape, the
// same for the same stream, from many goroutines at once.
func TestAugmentedIsAFunctionOfItsStream(t *testing.T) {
	im := noise(50, 37, 4)
	var wg sync.WaitGroup
	for _, resample := range []string{NFNT, Area} {
		for _, name := range Policies {
			for _, crop := range []string{"random", "center", "no", "googlenet"} {
				p := Preprocess{Size: 24, Mean: ImageNetMean, Std: ImageNetStd, Resample: resample}
				pol, err := ParsePolicy(name, 1.2, 2, crop)
				if err != nil {
					t.Fatal(err)
				}
				want := make([]float32, p.Len())
				if err := p.Augmented(want, im, pol, rng.New(5)); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					wg.Go(func() {
						got := make([]float32, p.Len())
						if err := p.Augmented(got, im, pol, rng.New(5)); err != nil || !slices.Equal(got, want) {
							t.Errorf("%s %v: a second time the view differs (%v)", resample, pol, err)
						}
						for _, v := range got {
							if v < -2.2 || v > 2.7 || v != v {
								t.Errorf("%s %v: value %v", resample, pol, v)
								return
							}
						}
					})
				}
			}
		}
	}
	wg.Wait()
}

func TestNoopNeedsTheRightSize(t *testing.T) {
	p := Preprocess{Size: 8, Mean: ImageNetMean, Std: ImageNetStd, Crop: "noop"}
	x := make([]float32, p.Len())
	if err := p.Valid(x, noise(9, 9, 1)); err != nil {
		t.Errorf("a square picture scales to the right size: %v", err)
	}
	if err := p.Valid(x, noise(9, 18, 1)); err == nil {
		t.Error("a picture of another shape was taken")
	}
}
