package audit

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"finetune/internal/rng"
)

// TestPlantedLabelsAreFound: of labels made wrong in classes that lie apart, all are
// found and nothing else is flagged, in two classes, several, and several labels each.
func TestPlantedLabelsAreFound(t *testing.T) {
	for _, classes := range []int{3, 5} {
		rows, labels := someRows(150, 30, classes, 1)
		truth := slices.Clone(labels)
		planted := []int{3, 17, 40, 77, 101}
		for _, i := range planted {
			labels[i] = (labels[i] + 1) % classes
		}
		found, err := WrongLabels(rows, labels, classes, nil)
		if err != nil {
			t.Fatal(err)
		}
		check(t, found, planted, func(l Label) bool { return l.Suggested[0] == truth[l.Row] })

		tags, right := make([][]int, len(rows)), make([][]int, len(rows))
		for i, y := range truth {
			right[i] = []int{y}
			if y == 1 {
				right[i] = []int{0, 1}
			}
			tags[i] = slices.Clone(right[i])
		}
		for _, i := range planted { // one label taken away, or one too many
			if truth[i] == 2 {
				tags[i] = []int{1, 2}
			} else {
				tags[i] = append(tags[i], 2)
			}
		}
		if found, err = WrongTags(rows, tags, classes, nil); err != nil {
			t.Fatal(err)
		}
		check(t, found, planted, func(l Label) bool { return slices.Equal(l.Suggested, right[l.Row]) })
	}
}

func check(t *testing.T, found []Label, planted []int, suggested func(Label) bool) {
	t.Helper()
	if !slices.IsSortedFunc(found, func(a, b Label) int {
		if a.Score < b.Score {
			return -1
		}
		return 1
	}) {
		t.Error("not the worst first")
	}
	flagged := 0
	for k, l := range found {
		wrong := slices.Contains(planted, l.Row)
		if l.Flagged && (!wrong || !suggested(l)) || wrong != (k < len(planted)) {
			t.Errorf("rank %d: %+v, planted %t", k, l, wrong)
		}
		flagged += b2i(l.Flagged)
	}
	if flagged < 3 {
		t.Errorf("%d flagged, want most of %d", flagged, len(planted))
	}
}

// TestConfidentJoint: by hand. Two rows of each class are surely right; one of class 0 has
// an output for class 1 that passes that class's mean, one has one that does not.
func TestConfidentJoint(t *testing.T) {
	p, classes := [][]float64{{.9, .1}, {.9, .1}, {.2, .8}, {.45, .55}, {.2, .8}, {.3, .7}}, 2
	labels := []int{0, 0, 0, 0, 1, 1}
	// thresholds: class 0 (.9+.9+.2+.45)/4 = .6125, class 1 (.8+.7)/2 = .75
	threshold := make([]float64, classes)
	size := []float64{4, 2}
	for i, y := range labels {
		threshold[y] += p[i][y] / size[y]
	}
	if math.Abs(threshold[0]-.6125) > 1e-12 || math.Abs(threshold[1]-.75) > 1e-12 {
		t.Fatal(threshold)
	}
	f := matrix(6, 2)
	for i := range p {
		f.Data[2*i], f.Data[2*i+1] = math.Log(p[i][0]), math.Log(p[i][1])
	}
	got := make([]float64, 2)
	for i := range p { // softmax at slope 1 gives p back
		softmax(got, f.Data[2*i:2*i+2], 1)
		if math.Abs(got[0]-p[i][0]) > 1e-12 {
			t.Errorf("row %d: %v", i, got)
		}
	}
	var flagged []int
	for i, y := range labels {
		if j := joint(p[i], y, threshold, func(int) bool { return true }); j >= 0 {
			flagged = append(flagged, i)
		}
	}
	if !slices.Equal(flagged, []int{2}) {
		t.Errorf("flagged %v, by hand row 2 alone", flagged)
	}
}

// TestSlope: the likelihood of σ(a·m) with margins 1, 1, 1, -1 is largest where 3 of 4 are
// right: σ(2a) = 3/4 of outputs ±1, so a = ln 3/2.
func TestSlope(t *testing.T) {
	f := blas64.General{Rows: 4, Cols: 2, Stride: 2, Data: []float64{1, -1, 1, -1, 1, -1, -1, 1}}
	a := maximum(func(a float64) float64 { return likelihood(f, []int{0, 0, 0, 0}, a) })
	if want := math.Log(3) / 2; math.Abs(a-want) > 1e-3 {
		t.Errorf("slope %.5f, want %.5f", a, want)
	}
}

func TestSmallClassesAreNotJudged(t *testing.T) {
	rows, labels := someRows(60, 12, 2, 1)
	labels[0], labels[1], labels[2] = 2, 2, 2 // a class of three, strewn over the others
	found, err := WrongLabels(rows, labels, 3, nil)
	if err != nil || len(found) != 60 {
		t.Fatal(err, len(found))
	}
	for _, l := range found {
		if l.Flagged && (labels[l.Row] == 2 || l.Suggested[0] == 2) {
			t.Errorf("%+v is judged by a class of three", l)
		}
	}
}

// TestALabelThatNothingSpeaksForGoesFirst: of four classes that are two pairs of look-alikes, a label of the other pair
// is more wrong than one within a pair, which experts may differ about.
func TestALabelThatNothingSpeaksForGoesFirst(t *testing.T) {
	const n, wide = 400, 24
	s := rng.New(11)
	rows, labels := make([][]float32, n), make([]int, n)
	planted := map[int]bool{}
	for i := range rows {
		labels[i] = i % 4
		rows[i] = make([]float32, wide)
		for j := range rows[i] {
			rows[i][j] = float32(s.Normal())
		}
		rows[i][0] = rows[i][0]/10 + float32(sign(labels[i] < 2))
		rows[i][1] /= 10
		if i%8 < 4 { // of the others nobody sees which of the pair they are
			rows[i][1] += float32(sign(labels[i]%2 == 0))
			if i%40 < 4 {
				labels[i] ^= 1
			}
		} else if i%21 == 7 {
			labels[i], planted[i] = labels[i]^2, true
		}
	}
	found, err := WrongLabels(rows, labels, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	right, precision := 0, 0.0
	for k, l := range found {
		if planted[l.Row] {
			right++
			precision += float64(right) / float64(k+1) / float64(len(planted))
		}
	}
	if precision < .8 {
		t.Errorf("average precision %.3f of %d labels", precision, len(planted))
	}
}
