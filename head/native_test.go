package head

import (
	"errors"
	"fmt"
	"math"
	"testing"
)

// largest returns the greatest |a-b| / (1+|b|).
func largest(a, b []float32) float64 {
	d := 0.0
	for i := range a {
		d = max(d, math.Abs(float64(a[i]-b[i]))/(1+math.Abs(float64(b[i]))))
	}
	return d
}

// twoTrainers makes equal heads on the native engine and on layers of Gonum.
func twoTrainers(t *testing.T, c Config, o Options) (fast, plain *Trainer) {
	t.Helper()
	var both [2]*Trainer
	for i := range both {
		h, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			h.SetProducts(Gonum{})
		}
		if both[i], err = NewTrainer(h, o); err != nil {
			t.Fatal(err)
		}
	}
	return both[0], both[1]
}

// The fused C must do what the separate Go layers do: same masks, statistics,
// gradients and updates, over batches and widths that fill no panel evenly.
// Run with each width of vectors that the processor has.
func TestNativeEqualsLayers(t *testing.T) {
	defer chooseVectors(level)
	for l := range level + 1 {
		chooseVectors(l)
		t.Run(vectors[l], testNativeEqualsLayers)
	}
}

func testNativeEqualsLayers(t *testing.T) {
	for _, tt := range []struct {
		n, in, classes int
		hidden         []int
		o              Options
	}{
		{n: 64, in: 128, classes: 2, hidden: []int{96}},
		{n: 5, in: 17, classes: 3, hidden: []int{5}},
		{n: 65, in: 33, classes: 20, hidden: []int{40, 7}},
		{n: 130, in: 20, classes: 2},
		{n: 31, in: 50, classes: 4, hidden: []int{18}, o: Options{FreezeBN: true}},
		{n: 31, in: 50, classes: 4, hidden: []int{18}, o: Options{Clip: .1}},
		{n: 31, in: 50, classes: 4, hidden: []int{18}, o: Options{Decoupled: true}},
		{n: 31, in: 50, classes: 4, hidden: []int{18}, o: Options{Optimizer: "adamw"}},
	} {
		t.Run(fmt.Sprintf("%d rows %d %v %d %+v", tt.n, tt.in, tt.hidden, tt.classes, tt.o), func(t *testing.T) {
			fast, plain := twoTrainers(t, Config{In: tt.in, Hidden: tt.hidden, Classes: tt.classes, Seed: 9}, tt.o)
			for step := range 4 {
				rows, labels := blobs(tt.n, tt.in, tt.classes, uint64(step))
				b, r := Batch{Rows: rows, Labels: labels}, Rates{LR: .003, Momentum: .9, Decay: .01}
				l1, err1 := fast.Step(b, r)
				l2, err2 := plain.Step(b, r)
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				if math.Abs(l1-l2) > 1e-5*(1+l2) {
					t.Errorf("step %d: loss %v, layers give %v", step, l1, l2)
				}
			}
			compareStates(t, append(fast.head.State(), fast.State()...), append(plain.head.State(), plain.State()...), 2e-5)
			valid, _ := blobs(300, tt.in, tt.classes, 77)
			p1, err1 := fast.head.Predict(valid)
			p2, err2 := plain.head.Predict(valid)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if d := largest(p1, p2); d > 5e-5 {
				t.Errorf("log-probabilities differ by %.3g", d)
			}
		})
	}
}

// compareStates reports tensors that differ by more than tolerance; 0 asks for equal bits.
func compareStates(t *testing.T, got, want []Tensor, tolerance float64) {
	t.Helper()
	for i, w := range want {
		if got[i].Name != w.Name || len(got[i].Data) != len(w.Data) {
			t.Fatalf("tensor %d is %s %v, want %s %v", i, got[i].Name, got[i].Shape, w.Name, w.Shape)
		}
		if d := largest(got[i].Data, w.Data); !(d <= tolerance) {
			t.Errorf("%s differs by %.3g (tolerance %g)", w.Name, d, tolerance)
		}
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	rows, labels := blobs(64, 100, 3, 1)
	b, r := Batch{Rows: rows, Labels: labels}, Rates{LR: .01, Momentum: .9}
	for _, o := range []Options{{}, {Clip: .1}, {Optimizer: "adam"}} {
		fast, _ := twoTrainers(t, Config{In: 100, Hidden: []int{64}, Classes: 3}, o)
		step(t, fast, b, r)
		if n := testing.AllocsPerRun(20, func() { step(t, fast, b, r) }); n != 0 {
			t.Errorf("%+v: a step allocates %v times", o, n)
		}
	}
}

// The products of each implementation, plain and accumulated, are gonum's.
func TestProducts(t *testing.T) {
	const out, in, n = 37, 50, 48
	w, x, b, dy := uniform("w", out*in, -1, 1), uniform("x", in*n, -1, 1), uniform("b", out, -1, 1),
		uniform("dy", out*n, -1, 1)
	var want [4][]float32
	for _, p := range implementations(t) {
		y, dx, dw, dv := make([]float32, out*n), make([]float32, in*n), make([]float32, out*in), uniform("dw", out*in, -1, 1)
		if err := errors.Join(p.Forward(y, w, x, b, out, in, n), p.Input(dx, w, dy, out, in, n),
			p.Weight(dw, dy, x, 0, out, in, n), p.Weight(dv, dy, x, .9, out, in, n)); err != nil {
			t.Fatal(err)
		}
		for i, got := range [][]float32{y, dx, dw, dv} {
			if want[i] == nil {
				want[i] = got // gonum comes first
			}
			if d := largest(got, want[i]); d > 1e-5 {
				t.Errorf("%s: product %d differs by %.3g", p.Name(), i, d)
			}
		}
	}
}
