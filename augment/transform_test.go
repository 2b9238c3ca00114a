package augment

import (
	"math"
	"slices"
	"testing"

	"finetune/internal/rng"
)

// grey makes a picture whose three channels hold v, row by row.
func grey(w, h int, v ...float32) *raster {
	r := new(raster)
	r.shape(w, h)
	for i, x := range v {
		r.pix[3*i], r.pix[3*i+1], r.pix[3*i+2] = x, x, x
	}
	return r
}

// greys is the inverse of grey, and checks that the channels agree.
func greys(t *testing.T, r *raster) []float32 {
	t.Helper()
	v := make([]float32, r.w*r.h)
	for i := range v {
		v[i] = r.pix[3*i]
		if r.pix[3*i+1] != v[i] || r.pix[3*i+2] != v[i] {
			t.Fatalf("pixel %d: channels differ: %v", i, r.pix[3*i:3*i+3])
		}
	}
	return v
}

func near(a, b []float32, tol float64) bool { return worstDiff(a, b) <= tol }

// want: fast.ai 0.7 (old/fastai/transforms.py scale_min), sizes as (rows, columns).
func TestScaledSize(t *testing.T) {
	for _, c := range []struct{ r, c, t, wantR, wantC int }{
		{225, 299, 224, 224, 297}, {499, 336, 224, 332, 224}, {375, 500, 224, 224, 298}, {375, 500, 246, 246, 328},
		{500, 375, 299, 398, 299}, {100, 150, 224, 224, 336},
		{71, 142, 224, 224, 447}, // 142*(224/71) falls short of 448 in float64
	} {
		if w, h := scaledSize(c.c, c.r, c.t); w != c.wantC || h != c.wantR {
			t.Errorf("(%d,%d) at %d: (%d,%d), fast.ai gives (%d,%d)", c.r, c.c, c.t, h, w, c.wantR, c.wantC)
		}
	}
}

func TestCenterCropLeavesTheOddPixelNear(t *testing.T) {
	if got := centred(297, 224); got != 37 {
		t.Errorf("297 to 224 starts at %d, fast.ai at 37", got)
	}
	c := &canvas{cur: *grey(5, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)}
	centerCrop(2)(c, nil)
	if got := greys(t, &c.cur); !slices.Equal(got, []float32{2, 3, 7, 8}) {
		t.Errorf("middle of 0..9 in 5 columns: %v, want 2 3 7 8", got)
	}
}

func TestAreaExamples(t *testing.T) {
	for _, c := range []struct{ in, want []float32 }{
		{[]float32{0, 10, 20, 30, 40, 50, 60}, []float32{7.142857, 30, 52.857143}},
		{[]float32{1, 0, 0, 0, 0, 0, 0}, []float32{3. / 7, 0, 0}},
		{[]float32{0, 0, 1, 0, 0, 0, 0}, []float32{1. / 7, 2. / 7, 0}},
		{[]float32{0, 0, 0, 1, 0, 0, 0}, []float32{0, 3. / 7, 0}},
		{[]float32{1, 0, 0, 0, 0}, []float32{.6, 0, 0}},
		{[]float32{0, 1, 0, 0, 0}, []float32{.4, .2, 0}},
		{[]float32{0, 0, 1, 0, 0}, []float32{0, .6, 0}},
		{[]float32{0, 10, 20}, []float32{0, 3.333333, 10, 16.666667, 20}},
	} {
		out := new(raster)
		area(out, grey(len(c.in), 1, c.in...), len(c.want), 1)
		if got := greys(t, out); !near(got, c.want, 4e-6) { // the last digit of values up to 60
			t.Errorf("%v: %v, OpenCV gives %v", c.in, got, c.want)
		}
	}
}

// The taps of an output lie in its cell, weigh 1 together, and none is smaller
// than the overlap that OpenCV leaves out.
func TestTapsOfShrinking(t *testing.T) {
	sizes := [][2]int{{10, 5}, {9, 3}, {7, 7}, {447, 224}, {1001, 500}, {4001, 2000}, {640, 21}, {5, 1}, {300, 299}}
	for _, c := range sizes {
		src, dst := c[0], c[1]
		scale := float64(src) / float64(dst)
		a := shrinkAxis(src, dst)
		if len(a.end) != dst {
			t.Fatalf("%v: %d outputs", c, len(a.end))
		}
		for d := range dst {
			sum := 0.0
			for _, p := range a.of(d) {
				from, to := max(float64(d)*scale, float64(p.at)), min(float64(d+1)*scale, float64(p.at+1))
				if math.Abs(float64(p.weight)-(to-from)/scale) > 2e-3/scale || float64(p.weight) < 0.99e-3/scale {
					t.Errorf("%v: output %d takes %g of sample %d, which covers %g of it", c, d, p.weight, p.at, (to-from)/scale)
				}
				sum += float64(p.weight)
			}
			if math.Abs(sum-1) > 2e-3/scale+1e-6 {
				t.Errorf("%v: output %d: weights of %g", c, d, sum)
			}
		}
	}
}

func TestRotateExample(t *testing.T) {
	v := make([]float32, 25)
	for i := range v {
		v[i] = float32(i%5 + 10*(i/5))
	}
	out := new(raster)
	rotate(out, grey(5, 5, v...), 10)
	got := greys(t, out)
	if want := []float32{.375, 1.375, 2.65625, 5.53125, 7.75}; !slices.Equal(got[:5], want) {
		t.Errorf("row 0 = %v, OpenCV gives %v", got[:5], want)
	}
	if want := []float32{16.59375, 19.125, 22, 24.875, 27.40625}; !slices.Equal(got[10:15], want) {
		t.Errorf("row 2 = %v, OpenCV gives %v", got[10:15], want)
	}
}

func TestLightingExamples(t *testing.T) {
	for _, c := range []struct {
		b, c float64
		want []float32
	}{
		{.05, .05, []float32{.235, .445, .655, .865}},
		{-.05, -.05, []float32{.164286, .354762, .545238, .735714}},
		{0, 0, []float32{.2, .4, .6, .8}},
		{.5, 0, []float32{.7, .9, 1, 1}},
	} {
		r := grey(4, 1, .2, .4, .6, .8)
		lighting(r, c.b, c.c)
		if got := greys(t, r); !near(got, c.want, 6e-7) { // the reference gives six digits
			t.Errorf("b=%v c=%v: %v, fast.ai gives %v", c.b, c.c, got, c.want)
		}
	}
}

func TestDihedralExamples(t *testing.T) {
	for _, c := range []struct {
		turns  int
		mirror bool
		want   []float32
	}{
		{0, false, []float32{1, 2, 3, 4}}, {1, false, []float32{2, 4, 1, 3}}, {1, true, []float32{4, 2, 3, 1}},
		{2, false, []float32{4, 3, 2, 1}}, {3, false, []float32{3, 1, 4, 2}},
	} {
		s := streamOf(t, func(s *rng.Stream) bool { return s.Intn(4) == c.turns && (s.Float64() < 0.5) == c.mirror })
		cv := &canvas{cur: *grey(2, 2, 1, 2, 3, 4)}
		randomDihedral()(cv, s)
		if got := greys(t, &cv.cur); !slices.Equal(got, c.want) {
			t.Errorf("%d turns, mirror %v: %v, NumPy gives %v", c.turns, c.mirror, got, c.want)
		}
	}
	cv := &canvas{cur: *grey(3, 2, 1, 2, 3, 4, 5, 6)}
	quarterTurn(&cv.spare, &cv.cur)
	if got := greys(t, &cv.spare); cv.spare.w != 2 || !slices.Equal(got, []float32{3, 6, 2, 5, 1, 4}) {
		t.Errorf("a quarter turn of 2 × 3: %v", got)
	}
}

func TestFlips(t *testing.T) {
	for _, c := range []struct {
		across, over bool
		want         []float32
	}{
		{false, false, []float32{1, 2, 3, 4, 5, 6}}, {true, false, []float32{2, 1, 4, 3, 6, 5}},
		{false, true, []float32{5, 6, 3, 4, 1, 2}}, {true, true, []float32{6, 5, 4, 3, 2, 1}},
	} {
		s := streamOf(t, func(s *rng.Stream) bool {
			return (s.Float64() < flipP) == c.across &&
				(s.Float64() < flipP) == c.over
		})
		cv := &canvas{cur: *grey(2, 3, 1, 2, 3, 4, 5, 6)}
		for _, change := range (Policy{Name: "flips", Crop: "noop"}).transforms(0) {
			change(cv, s)
		}
		if got := greys(t, &cv.cur); !slices.Equal(got, c.want) {
			t.Errorf("across %v, over %v: %v, want %v", c.across, c.over, got, c.want)
		}
	}
}

// streamOf returns a stream whose first draws satisfy f.
func streamOf(t *testing.T, f func(*rng.Stream) bool) *rng.Stream {
	t.Helper()
	for seed := range uint64(10000) {
		if f(rng.New(seed)) {
			return rng.New(seed)
		}
	}
	t.Fatal("no seed among 10,000 draws what is asked")
	return nil
}

// The draws of RandomScale: u < 0.75, then the multiple; the size truncates.
func TestRandomScaleDraws(t *testing.T) {
	pol := Policy{Name: "none", MaxZoom: 1.1, Crop: "random"}
	sizes := map[int]int{}
	const n = 20000
	for seed := range uint64(n) {
		s, twin := rng.New(seed), rng.New(seed)
		want := 224
		if twin.Float64() < 0.75 {
			want = int(twin.Uniform(1, 1.1) * 224)
		}
		got := pol.target(224, s)
		if got != want || *s != *twin {
			t.Fatalf("seed %d: %d after %d draws, want %d after %d", seed, got, s.N, want, twin.N)
		}
		sizes[got]++
	}
	if len(sizes) != 23 || sizes[246] == 0 || sizes[224] < n/4 {
		t.Errorf("%d sizes, %d times 246, %d times 224; want all of 224..246 and a quarter or more at 224", len(sizes),
			sizes[246], sizes[224])
	}
	s := rng.New(1)
	if pol.MaxZoom = 0; pol.target(224, s) != 224 || s.N != 0 {
		t.Errorf("without MaxZoom %d draws were made", s.N)
	}
}

// The last position is never taken: 226 to 224 gives 0 or 1, rows before columns.
func TestRandomCropDraws(t *testing.T) {
	seen := map[[2]int]bool{}
	for seed := range uint64(200) {
		c := &canvas{}
		c.cur.shape(5, 6)
		for i := range c.cur.pix {
			c.cur.pix[i] = float32(i / 3)
		}
		twin := rng.New(seed)
		row := int(twin.Float64() * 2)
		col := int(twin.Float64() * 1)
		randomCrop(4)(c, rng.New(seed))
		if got := int(c.cur.pix[0]); got != row*5+col {
			t.Fatalf("seed %d: starts at %d, want row %d, column %d", seed, got, row, col)
		}
		seen[[2]int{row, col}] = true
	}
	if len(seen) != 2 {
		t.Errorf("starts %v; 6 rows to 4 gives 0 and 1, 5 columns to 4 gives 0", seen)
	}
}

// Every second picture or so is a mirror image, by one draw each.
func TestRandomFlipDraws(t *testing.T) {
	mirrored := 0
	for seed := range uint64(1000) {
		c, s := &canvas{cur: *grey(3, 1, 1, 2, 3)}, rng.New(seed)
		randomFlip(0.5)(c, s)
		if s.N != 1 {
			t.Fatalf("%d draws, want 1", s.N)
		}
		if v := greys(t, &c.cur); slices.Equal(v, []float32{3, 2, 1}) {
			mirrored++
		} else if !slices.Equal(v, []float32{1, 2, 3}) {
			t.Fatalf("neither the picture nor its mirror image: %v", v)
		}
	}
	if math.Abs(float64(mirrored)-500) > 80 { // five standard deviations
		t.Errorf("%d of 1000 mirrored", mirrored)
	}
}

// Rotation and lighting draw the same number of times whatever the outcome, so
// the transforms that follow see the same draws.
func TestDrawCounts(t *testing.T) {
	for seed := range uint64(50) {
		c, s := &canvas{cur: *grey(3, 3, 1, 0, 1, 0, 0, 0, 0, 0, 1)}, rng.New(seed)
		randomRotate(rotateDegrees, rotateP)(c, s)
		if s.N != 2 {
			t.Fatalf("rotation drew %d times, want 2", s.N)
		}
		twin := rng.New(seed)
		angle := twin.Uniform(-10, 10)
		if turned := c.cur.pix[3*1] != 0; turned != (twin.Float64() < 0.75) && math.Abs(angle) > 2 {
			t.Fatalf("seed %d: turned %v", seed, turned)
		}
		randomLighting(.05, .05)(c, s)
		if s.N != 4 {
			t.Fatalf("lighting drew %d times, want 2", s.N-2)
		}
	}
}

// GoogLeNet's crop: a part within the picture, squashed; a flat picture shows
// that nothing outside it is read, a strip that the fallback works.
func TestGoogleNetResize(t *testing.T) {
	for _, size := range [][2]int{{40, 30}, {30, 40}, {9, 200}, {1, 1}} {
		for seed := range uint64(100) {
			c := &canvas{}
			c.cur.shape(size[0], size[1])
			for i := range c.cur.pix {
				c.cur.pix[i] = 0.5
			}
			googleNetResize(16)(c, rng.New(seed))
			if c.cur.w != 16 || c.cur.h != 16 {
				t.Fatalf("%v: %d × %d, want 16 × 16", size, c.cur.w, c.cur.h)
			}
			for _, v := range c.cur.pix {
				if math.Abs(float64(v)-0.5) > 1e-6 {
					t.Fatalf("%v: a flat picture became %v", size, v)
				}
			}
		}
	}
}

func TestReflect(t *testing.T) {
	var got []int
	for i := -4; i < 7; i++ {
		got = append(got, reflect(i, 3))
	}
	if want := []int{2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("-4..6 in 3: %v, OpenCV's BORDER_REFLECT gives %v", got, want)
	}
}
