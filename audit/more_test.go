package audit

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// ridgeScores solves a ridge regression on the rows by its definition, for the oracle of rightBySize: targets of ±1,
// features standardised by all, kernel XXᵀ/d + 1.
func ridgeScores(all, rows [][]float32, labels []int, classes int, ask [][]float32, lambda float64) *mat.Dense {
	s := standardised(all)
	dense := func(rows [][]float32) *mat.Dense {
		d := len(rows[0])
		out := mat.NewDense(len(rows), d+1, nil)
		for i, r := range rows {
			for j, v := range r {
				out.Set(i, j, (float64(v)-s.mean[j])*s.over[j]/math.Sqrt(float64(d)))
			}
			out.Set(i, d, 1)
		}
		return out
	}
	x, v := dense(rows), dense(ask)
	y := mat.NewDense(len(rows), classes, nil)
	for i, l := range labels {
		for c := range classes {
			y.Set(i, c, sign(c == l))
		}
	}
	var k, a, across, out mat.Dense
	k.Mul(x, x.T())
	for i := range rows {
		k.Set(i, i, k.At(i, i)+lambda)
	}
	if err := a.Solve(&k, y); err != nil {
		panic(err)
	}
	across.Mul(v, x.T())
	out.Mul(&across, &a)
	return &out
}

// TestBeginningsOfOneFactor: what a beginning of an order predicts is what a ridge regression on it alone predicts.
func TestBeginningsOfOneFactor(t *testing.T) {
	rows, labels := someRows(400, 12, 3, .25)
	train, y, valid, truth := rows[:240], labels[:240], rows[240:], labels[240:]
	sizes := halves(len(train), 16)
	right, err := rightBySize(train, y, valid, truth, 3, sizes, nil)
	if err != nil {
		t.Fatal(err)
	}
	targets := matrix(len(y), 3)
	for i, l := range y {
		for c := range 3 {
			targets.Data[3*i+c] = sign(c == l)
		}
	}
	_, lambda, err := outByRows(evenly(train, 500), evenlyRows(targets, 500), Product(nil).orGonum())
	if err != nil {
		t.Fatal(err)
	}
	for k, m := range sizes { // the first draw is the order as it is
		scores := ridgeScores(train, train[:m], y[:m], 3, valid, lambda)
		wrong := 0
		for i := range valid {
			best := 0
			for c := range 3 {
				if scores.At(i, c) > scores.At(i, best) {
					best = c
				}
			}
			if (best == truth[i]) != right[k][0][i] {
				wrong++
			}
		}
		if wrong > 0 {
			t.Errorf("%d labels: %d of %d rows differ from a ridge regression on them", m, wrong, len(valid))
		}
	}
	if len(right[0]) != curveDraws || len(right[len(sizes)-1]) != 1 {
		t.Errorf("%d draws of the fewest, %d of all", len(right[0]), len(right[len(sizes)-1]))
	}
}

// TestPowerLaw: the law is found, and what it says of more labels.
func TestPowerLaw(t *testing.T) {
	sizes := []int{50, 100, 200, 400, 800, 1600}
	for _, want := range []PowerLaw{{0, 2, .4}, {.05, 3, .6}} {
		errors := make([]float64, len(sizes))
		for k, m := range sizes {
			errors[k] = want.Errors(m)
		}
		none, best := powerLaws(sizes, errors)
		for _, n := range []int{100, 2000} {
			if got := best.Errors(n); math.Abs(got-want.Errors(n)) > .002 {
				t.Errorf("%+v: %d labels give %g errors, want %g", best, n, got, want.Errors(n))
			}
		}
		if want.Floor == 0 && (math.Abs(none.Scale-2) > 1e-9 || math.Abs(none.Power-.4) > 1e-9) {
			t.Errorf("%+v", none)
		}
	}
}

// TestMoreLabels: where classes overlap and labels are few, more help, about as much as they then do. Where
// labels are drawn by chance nothing is told.
func TestMoreLabels(t *testing.T) {
	rows, labels := someRows(2400, 60, 3, .2)
	curve := func(n int, labels []int) *LabelCurve {
		c, err := NewLabelCurve(rows[:n], labels[:n], rows[1400:], labels[1400:], 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	few, many := curve(300, labels), curve(800, labels)
	last := func(c *LabelCurve) float64 { return c.Points[len(c.Points)-1].Accuracy }
	got := last(many) - last(few)
	if !few.Told() || few.More != 500 || got < few.Low-.01 || got > few.High+.01 {
		t.Errorf("500 more give %.3f, told were %.3f (%.3f to %.3f)", got, few.Gain, few.Low, few.High)
	}
	if again := curve(300, labels); !reflect.DeepEqual(again, few) {
		t.Errorf("another answer: %+v, %+v", again, few)
	}
	chance := make([]int, len(labels))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range chance {
		chance[i] = r.IntN(3)
	}
	if c := curve(300, chance); c.Told() {
		t.Errorf("labels by chance: %+v", c)
	}
	for n, want := range map[int]bool{40: false, 170: true} {
		if c := curve(n, labels); (c != nil) != want || c != nil && c.More != n {
			t.Errorf("%d labels: %+v", n, c)
		}
	}
	if c, err := NewLabelCurve(rows[:300], labels[:300], rows[:19], labels[:19], 3, nil); c != nil || err != nil {
		t.Errorf("of 19 validation rows: %+v, %v", c, err)
	}
	wide, of := someRows(2600, 4, 2, 1)
	if c, err := NewLabelCurve(wide[:2500], of[:2500], wide[2500:], of[2500:], 2, nil); err != nil || c.More != 0 ||
		c.Points[len(c.Points)-1].Labels != mostCurve || c.Labels != 2500 {
		t.Errorf("of many labels: %+v, %v", c, err)
	}
}
