package rng

import (
	"math"
	"slices"
	"testing"
)

// want: testdata/reference/rng.py run as a script (NumPy 2).
func TestTwin(t *testing.T) {
	s := New(7, 3)
	for i, want := range []uint64{0xfb8fe4921bc3a4f2, 0x43593f6627c6ae32, 0xafc6492e35248356} {
		if got := s.Uint64(); got != want {
			t.Errorf("draw %d = %#x, NumPy gives %#x", i, got, want)
		}
	}
	if got := s.Float64(); got != 0.0742635003728126 {
		t.Errorf("Float64 = %v, NumPy gives 0.0742635003728126", got)
	}
	if got := Text("conv1.weight"); got != 0x69a29a2cee47d254 {
		t.Errorf("Text = %#x, Python gives 0x69a29a2cee47d254", got)
	}
	const want = -0.5767128130543131
	if got := s.Normal(); math.Abs(got-want) > 1e-15 { // log and cos may round differently
		t.Errorf("Normal = %.17g, NumPy gives %.17g", got, want)
	}
}

// want: rng.py's draws 1 to 6 of another stream.
func TestNormalTwin(t *testing.T) {
	s := New(11)
	for i, want := range []float64{-0.6291351872642411, -0.259603627524785, -0.47798788340845816} {
		if got := s.Normal(); math.Abs(got-want) > 1e-14 {
			t.Errorf("Normal %d = %.17g, NumPy gives %.17g", i, got, want)
		}
	}
}

// Bounds are six standard errors of the mean and of the variance of 100,000 draws.
func TestNormalMeanAndSpread(t *testing.T) {
	const n = 100_000
	s, sum, square := New(5), 0.0, 0.0
	for range n {
		v := s.Normal()
		sum += v
		square += v * v
	}
	if mean := sum / n; !(math.Abs(mean) < 6/math.Sqrt(n)) {
		t.Errorf("mean of N(0, 1) is %v", mean)
	}
	if variance := square / n; !(math.Abs(variance-1) < 6*math.Sqrt(2./n)) {
		t.Errorf("variance of N(0, 1) is %v", variance)
	}
}

// Each value and each order is drawn equally often, within six standard errors.
func TestDrawsAreEven(t *testing.T) {
	const n = 60_000
	s, ints, orders := New(6), make([]float64, 6), map[[3]int]float64{}
	for range n {
		ints[s.Intn(6)]++
		orders[[3]int(s.Perm(3))]++
	}
	bound := 6 * math.Sqrt(n/6.*5/6)
	for v, count := range ints {
		if math.Abs(count-n/6) > bound {
			t.Errorf("Intn(6) gives %d %v times of %d", v, count, n)
		}
	}
	if len(orders) != 6 {
		t.Errorf("Perm(3) gives %d orders of 6", len(orders))
	}
	for order, count := range orders {
		if math.Abs(count-n/6) > bound {
			t.Errorf("Perm(3) gives %v %v times of %d", order, count, n)
		}
	}
}

// want: Fisher and Yates from the end, by rng.py's draws: orders must not change, since runs are repeated by their
// seed.
func TestPermTwin(t *testing.T) {
	if got, want := New(9).Perm(8), []int{5, 7, 4, 6, 2, 0, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("Perm(8) = %v, Python gives %v", got, want)
	}
	if s := New(9); len(s.Perm(1)) != 1 || s.N != 0 {
		t.Errorf("an order of one takes %d draws", s.N)
	}
}

func TestPermIsAPermutationAndRepeats(t *testing.T) {
	a, b := New(1, 2).Perm(1000), New(1, 2).Perm(1000)
	seen := make([]bool, len(a))
	for i := range a {
		if a[i] != b[i] || seen[a[i]] {
			t.Fatalf("position %d: %d and %d", i, a[i], b[i])
		}
		seen[a[i]] = true
	}
}
