package metrics

import (
	"fmt"
	"math"
	"testing"
)

// fixture is the ten rows that the three-class notebook prints.
var fixture = []float32{
	-0.87503, -1.22842, -1.23651, -0.91773, -1.46056, -0.99841, -1.12737, -0.81735, -1.45023, -1.02457, -1.22127, -1.06075,
	-0.97043, -1.27500, -1.07398,
	-2.77403, -0.45978, -1.18363, -1.25054, -2.25244, -0.49674, -1.17958, -1.46617, -0.77265, -1.62220, -1.99080, -0.40654,
	-2.00289, -1.46045, -0.45741,
}

var fixtureLabels = []int{0, 0, 0, 0, 1, 1, 1, 1, 2, 2}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.9g, want %.9g (tolerance %g)", what, got, want, tolerance)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s = %s, want %s", what, g, w)
	}
}

// want: the notebook's printed values, ranked by the true class's probability.
func TestFixture(t *testing.T) {
	equal(t, "predictions", Argmax(fixture, 3), []int{0, 0, 1, 0, 0, 1, 2, 2, 2, 2})
	near(t, "accuracy", Accuracy(fixture, fixtureLabels, 3), .6, 1e-15)
	near(t, "log loss", LogLoss(fixture, fixtureLabels, 3), 1.026204, 5e-7)
	near(t, "top 2", TopK(fixture, fixtureLabels, 3, 2), .7, 1e-15)
	near(t, "top 3", TopK(fixture, fixtureLabels, 3, 3), 1, 0)
	equal(t, "confusion", Confusion(fixture, fixtureLabels, 3), [][]int{{3, 1, 0}, {1, 1, 2}, {0, 0, 2}})
}

// want: by hand from the fixture's confusion matrix.
func TestPerClass(t *testing.T) {
	scores := PerClass(Confusion(fixture, fixtureLabels, 3))
	for c, want := range []Score{{.75, .75, .75, 4}, {.5, .25, 1. / 3, 4}, {.5, 1, 2. / 3, 2}} {
		near(t, fmt.Sprint("precision of ", c), scores[c].Precision, want.Precision, 1e-15)
		near(t, fmt.Sprint("recall of ", c), scores[c].Recall, want.Recall, 1e-15)
		near(t, fmt.Sprint("F1 of ", c), scores[c].F1, want.F1, 1e-15)
		equal(t, "support", scores[c].Support, want.Support)
	}
	equal(t, "scores of a class that never occurs", PerClass([][]int{{2, 0}, {0, 0}})[1], Score{})
	equal(t, "confusion keeps absent classes", Confusion([]float32{0, -9, -9}, []int{0}, 3),
		[][]int{{1, 0, 0}, {0, 0, 0}, {0, 0, 0}})
}

func TestAUC(t *testing.T) {
	for _, tt := range []struct {
		name     string
		scores   []float32
		positive []bool
		want     float64
		ok       bool
	}{
		{"scikit-learn's example", []float32{.1, .4, .35, .8}, []bool{false, false, true, true}, .75, true},
		{"all tied", []float32{1, 1, 1, 1}, []bool{false, true, false, true}, .5, true},
		{"one tie", []float32{1, 2, 2, 3}, []bool{false, false, true, true}, .875, true},
		{"reversed", []float32{3, 2, 1}, []bool{false, false, true}, 0, true},
		{"one class", []float32{3, 2}, []bool{true, true}, 0, false},
		{"none", nil, nil, 0, false},
	} {
		got, ok := AUC(tt.scores, tt.positive)
		if ok != tt.ok {
			t.Errorf("%s: defined = %v", tt.name, ok)
		}
		near(t, tt.name, got, tt.want, 1e-15)
	}
}

// The ends of the interval are the shares p that the observed one lies 1.96
// standard deviations of p from, which is how Wilson defines it.
func TestWilson(t *testing.T) {
	for _, tt := range [][2]int{{142, 153}, {10, 10}, {0, 10}, {5, 10}} {
		n, got := float64(tt[1]), float64(tt[0])/float64(tt[1])
		lo, hi := Wilson(got, tt[1])
		for _, p := range []float64{lo, hi} {
			if p > 0 && p < 1 {
				near(t, fmt.Sprintf("distance of %v from %d of %d", p, tt[0], tt[1]), math.Abs(got-p)/math.Sqrt(p*(1-p)/n),
					1.959964, 5e-7)
			}
		}
		if lo > got || hi < got {
			t.Errorf("%d of %d: interval [%v, %v]", tt[0], tt[1], lo, hi)
		}
	}
	for n := 1; n < 1000; n++ {
		if lo, hi := Wilson(1, n); hi > 1 || lo > hi {
			t.Errorf("%d of %d: interval [%v, %v]", n, n, lo, hi)
		}
		if lo, _ := Wilson(0, n); lo < 0 {
			t.Errorf("0 of %d: from %v", n, lo)
		}
	}
	lo, hi := Wilson(1, 10)
	near(t, "low end of 10 of 10", lo, .722467, 5e-7)
	near(t, "high end of 10 of 10", hi, 1, 0)
	lo, hi = Wilson(0, 10)
	near(t, "low end of 0 of 10", lo, 0, 0)
	near(t, "high end of 0 of 10", hi, 1-.722467, 5e-7)
	lo, hi = Wilson(0, 0)
	equal(t, "interval of no rows", []float64{lo, hi}, []float64{0, 1})
}

// Equal probabilities: the first class wins.
func TestTies(t *testing.T) {
	logp := []float32{-1, -1, -2, -3, -1, -1}
	equal(t, "most probable", Argmax(logp, 3), []int{0, 1})
	near(t, "accuracy of the first of equals", Accuracy(logp, []int{0, 1}, 3), 1, 0)
	near(t, "accuracy of the second of equals", Accuracy(logp, []int{1, 2}, 3), 0, 0)
	near(t, "among two", TopK(logp, []int{1, 2}, 3, 2), 1, 0)
}

func TestSeveralLabels(t *testing.T) {
	logp := []float32{float32(math.Log(.9)), float32(math.Log(.1)), float32(math.Log(.2)), float32(math.Log(.8))}
	targets := []float32{1, 0, 0, 1}
	near(t, "the lesson's binary_loss", MultiLogLoss(logp, targets), 0.164252033486018, 1e-7)
	near(t, "accuracy above .5", MultiAccuracy(logp, targets, .5), 1, 0)
	near(t, "accuracy where p is the threshold, which is not above it", MultiAccuracy([]float32{0}, []float32{1}, 1), 0, 0)
	near(t, "accuracy where p is the threshold and the label absent", MultiAccuracy([]float32{0}, []float32{0}, 1), 1, 0)
	near(t, "a target of .5 is no", MultiAccuracy([]float32{0}, []float32{.5}, .5), 0, 0)
	near(t, "accuracy above .85", MultiAccuracy(logp, targets, .85), .75, 0)
	if v := MultiLogLoss([]float32{0}, []float32{0}); math.IsInf(v, 0) || v < 80 {
		t.Errorf("a sure and wrong answer costs %v, want a large finite loss", v)
	}
}

func TestCalibration(t *testing.T) {
	logp, labels := []float32(nil), []int{1, 1, 1, 0}
	for _, p := range []float64{.9, .9, .7, .7} {
		logp = append(logp, float32(math.Log(1-p)), float32(math.Log(p)))
	}
	ece, bins := Calibration(logp, labels, 2, 5)
	near(t, "calibration error", ece, .5*.1+.5*.2, 1e-7) // (.8, 1]: .9 said, all right; (.6, .8]: .7 said, half right
	near(t, "accuracy of the fourth bin", bins[3].Accuracy, .5, 0)
	near(t, "confidence of the last bin", bins[4].Confidence, .9, 1e-7)
	for i, b := range bins {
		near(t, fmt.Sprintf("low end of bin %d", i), b.Lo, float64(i)*.2, 1e-15)
		near(t, fmt.Sprintf("high end of bin %d", i), b.Hi, float64(i+1)*.2, 1e-15)
	}
	equal(t, "rows", []int{bins[0].Rows, bins[3].Rows, bins[4].Rows}, []int{0, 2, 2})
}

// A bin of one row counts as any other.
func TestCalibrationOfSingleRows(t *testing.T) {
	half := float32(-math.Ln2)
	logp := []float32{half, half, float32(math.Log(.1)), float32(math.Log(.9))}
	ece, bins := Calibration(logp, []int{0, 0}, 2, 2) // .5 said and right; .9 said and wrong
	near(t, "calibration error", ece, (.5+.9)/2, 1e-7)
	equal(t, "rows", []int{bins[0].Rows, bins[1].Rows}, []int{1, 1})
}

func TestNoRows(t *testing.T) {
	ece, _ := Calibration(nil, nil, 2, 5)
	for _, v := range []float64{Accuracy(nil, nil, 2), LogLoss(nil, nil, 2), ece, MultiAccuracy(nil, nil, .5),
		MultiLogLoss(nil, nil)} {
		near(t, "a measure of no rows", v, 0, 0)
	}
}

// A row with NaN is never right, whichever class has it.
func TestNaNIsNeverRight(t *testing.T) {
	nan := float32(math.NaN())
	for y := range 3 {
		for at := range 3 {
			row := []float32{-1, -1, -1}
			row[y], row[at] = 0, nan
			for k := 1; k <= 3; k++ {
				near(t, fmt.Sprintf("top %d of %v, label %d", k, row, y), TopK(row, []int{y}, 3, k), 0, 0)
			}
		}
	}
	near(t, "a decision of NaN", MultiAccuracy([]float32{nan, nan}, []float32{0, 1}, .5), 0, 0)
}

// Bins are (Lo, Hi]: a probability at an end lies in the lower bin, 0 in the first and 1 in the last.
func TestCalibrationAtTheEndsOfBins(t *testing.T) {
	none := float32(math.Inf(-1))
	_, bins := Calibration([]float32{none, none, none, none, -math.Ln2, -math.Ln2, 0, none}, []int{0, 1, 0, 0}, 2, 2)
	equal(t, "rows", []int{bins[0].Rows, bins[1].Rows}, []int{3, 1})
	near(t, "accuracy of the first bin", bins[0].Accuracy, 2./3, 1e-15)
	near(t, "confidence of the first bin", bins[0].Confidence, .5/3, 1e-7)
}
