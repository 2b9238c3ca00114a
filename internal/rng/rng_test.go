package rng

import (
	"math"
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
