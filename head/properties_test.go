package head

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// Widths that leave a panel of 15 features, and batches of more than 2,048 rows, the most that half the mask words
// would hold.
func TestNativeEqualsLayersAtOddSizes(t *testing.T) {
	defer chooseVectors(level)
	for l := range level + 1 {
		if got := chooseVectors(l); got != l {
			t.Fatalf("asked for %s, the engine took %s", vectors[l], vectors[got])
		}
		for _, size := range [][3]int{{33, 15, 15}, {18, 31, 31}, {16, 47, 16}, {2, 1, 1}, {2049, 15, 7}, {4096, 5, 15}} {
			n, in, hidden := size[0], size[1], size[2]
			t.Run(fmt.Sprintf("%s, %d rows, %d, %d", vectors[l], n, in, hidden), func(t *testing.T) {
				compareEngines(t, n, Config{In: in, Hidden: []int{hidden}, Classes: 3, Seed: 4}, Options{})
			})
		}
	}
}

// compareEngines takes three steps on both engines.
func compareEngines(t *testing.T, n int, c Config, o Options) {
	t.Helper()
	fast, plain := twoTrainers(t, c, o)
	for k := range 3 {
		rows, labels := blobs(n, c.In, c.Classes, uint64(k))
		b, r := Batch{Rows: rows, Labels: labels}, Rates{LR: .003, Momentum: .9, Decay: .01}
		if a, b := step(t, fast, b, r), step(t, plain, b, r); !(math.Abs(a-b) <= 1e-5*(1+b)) {
			t.Errorf("step %d: loss %v, layers give %v", k, a, b)
		}
	}
	compareStates(t, append(fast.head.State(), fast.State()...), append(plain.head.State(), plain.State()...), 2e-5)
}

func TestTooManyRowsAreRefused(t *testing.T) {
	fast, _ := twoTrainers(t, Config{In: 3, Classes: 2}, Options{})
	rows, labels := blobs(nativeMaxRows+1, 3, 2, 1)
	if _, err := fast.Step(Batch{Rows: rows, Labels: labels}, Rates{LR: .1}); err == nil ||
		!strings.Contains(err.Error(), "4096") {
		t.Errorf("%d rows: error %v, want one that names the largest batch", len(rows), err)
	}
}

// Where a running variance is as small as BatchNorm's epsilon, leaving epsilon out would show.
func TestFrozenStatisticsKeepEpsilon(t *testing.T) {
	fast, plain := twoTrainers(t, Config{In: 20, Hidden: []int{17}, Classes: 3, Seed: 9}, Options{FreezeBN: true})
	for _, tr := range []*Trainer{fast, plain} {
		for _, b := range tr.head.blocks {
			fill(b.norm.Var, 1e-6)
		}
	}
	rows, labels := blobs(31, 20, 3, 1)
	b := Batch{Rows: rows, Labels: labels}
	if a, b := step(t, fast, b, Rates{LR: 1e-6}), step(t, plain, b, Rates{LR: 1e-6}); !(math.Abs(a-b) <= 1e-5*(1+b)) {
		t.Errorf("loss %v, layers give %v", a, b)
	}
	p1, err1 := fast.head.Predict(rows)
	p2, err2 := plain.head.Predict(rows)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if d := largest(p1, p2); !(d <= 1e-4) {
		t.Errorf("log-probabilities differ by %.3g", d)
	}
}

// A row of NaN gets NaN, through ReLU too, and the rows beside it what they get alone.
func TestNaNStaysInItsRow(t *testing.T) {
	defer chooseVectors(level)
	fast, plain := twoTrainers(t, Config{In: 20, Hidden: []int{33}, Classes: 3, Seed: 9}, Options{})
	rows, _ := blobs(18, 20, 3, 1)
	for l := range level + 1 {
		chooseVectors(l)
		for _, h := range []*Head{fast.head, plain.head} {
			want, err := h.Predict(rows)
			if err != nil {
				t.Fatal(err)
			}
			spoilt := slices.Clone(rows)
			spoilt[7] = slices.Clone(rows[7])
			spoilt[7][3] = float32(math.NaN())
			got, err := h.Predict(spoilt)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				if nan := i/3 == 7; nan != math.IsNaN(float64(v)) || !nan && v != want[i] {
					t.Errorf("%s: row %d class %d: %v, want %v", vectors[l], i/3, i%3, v, want[i])
				}
			}
		}
	}
}

// failing stops a product by its number: 0 Forward, 1 Input, 2 Weight.
type failing struct {
	Gonum
	at int
}

var errProduct = errors.New("no memory for a product")

func (f failing) fails(k int) error {
	if f.at == k {
		return errProduct
	}
	return nil
}

func (f failing) Forward(y, w, x, b []float32, out, in, n int) error {
	return errors.Join(f.fails(0), f.Gonum.Forward(y, w, x, b, out, in, n))
}

func (f failing) Input(dx, w, dy []float32, out, in, n int) error {
	return errors.Join(f.fails(1), f.Gonum.Input(dx, w, dy, out, in, n))
}

func (f failing) Weight(dw, dy, x []float32, beta float32, out, in, n int) error {
	return errors.Join(f.fails(2), f.Gonum.Weight(dw, dy, x, beta, out, in, n))
}

func TestFailingProductsAreReported(t *testing.T) {
	rows, labels := blobs(8, 4, 2, 1)
	for at := range 3 {
		_, tr := twoTrainers(t, Config{In: 4, Hidden: []int{5}, Classes: 2}, Options{})
		tr.head.SetProducts(failing{at: at})
		if _, err := tr.Step(Batch{Rows: rows, Labels: labels}, Rates{LR: .1}); !errors.Is(err, errProduct) {
			t.Errorf("product %d fails in a step: error %v", at, err)
		}
		if tr.Steps() != 0 {
			t.Errorf("product %d fails in a step, which counts", at)
		}
		_, predicted := tr.head.Predict(rows)
		estimated := tr.head.Reestimate(slices.Values([][][]float32{rows}), 1)
		for name, err := range map[string]error{"Predict": predicted, "Reestimate": estimated} {
			if errors.Is(err, errProduct) != (at == 0) {
				t.Errorf("product %d fails in %s: error %v", at, name, err)
			}
		}
	}
}

// A gradient of norm 5 is left alone by a limit of 5 and scaled as PyTorch does by a limit of 4.
func TestLimit(t *testing.T) {
	for _, tt := range []struct {
		clip   float64
		factor float32
	}{{5, 1}, {6, 1}, {4, float32(4 / (5 + 1e-6))}} {
		g := [][]float32{{3, 0}, {-4}}
		limit(g, tt.clip)
		if g[0][0] != 3*tt.factor || g[0][1] != 0 || g[1][0] != -4*tt.factor {
			t.Errorf("limit %v makes %v", tt.clip, g)
		}
	}
}

// Each tensor that is missing is named as missing, whichever it is.
func TestRestoreNamesWhatIsMissing(t *testing.T) {
	small, _ := twoTrainers(t, Config{In: 4, Classes: 2}, Options{})
	for i, gone := range small.head.State() {
		err := small.head.Restore(slices.Delete(small.head.State(), i, i+1))
		if err == nil || !strings.Contains(err.Error(), gone.Name+": missing") {
			t.Errorf("without %s: error %v", gone.Name, err)
		}
	}
}

// A step whose momentum changes, as a schedule's does, adds to the gradients by the new one.
func TestProductsFollowMomentum(t *testing.T) {
	const out, in, n = 7, 5, 16
	dy, x := uniform("dy", out*n, -1, 1), uniform("x", in*n, -1, 1)
	for _, p := range implementations(t) {
		for _, beta := range []float32{.9, .9, .5, .9} {
			got, want := uniform("dw", out*in, -1, 1), uniform("dw", out*in, -1, 1)
			if err := errors.Join(p.Weight(got, dy, x, beta, out, in, n),
				Gonum{}.Weight(want, dy, x, beta, out, in, n)); err != nil {
				t.Fatal(err)
			}
			if d := largest(got, want); d > 1e-5 {
				t.Errorf("%s: product plus %v times what was there differs by %.3g", p.Name(), beta, d)
			}
		}
	}
}
