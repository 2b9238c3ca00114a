package page

import (
	"math"
	"slices"
	"testing"

	"finetune/plots"
)

// fixture is the first ten rows that the lesson's notebook prints
// (log-probabilities of three classes; true labels below), with what follows
// from them by hand.
var fixture = []plots.Prediction{
	{Label: 0, LogProbs: []float32{-0.87503, -1.22842, -1.23651}},
	{Label: 0, LogProbs: []float32{-0.91773, -1.46056, -0.99841}},
	{Label: 0, LogProbs: []float32{-1.12737, -0.81735, -1.45023}},
	{Label: 0, LogProbs: []float32{-1.02457, -1.22127, -1.06075}},
	{Label: 1, LogProbs: []float32{-0.97043, -1.27500, -1.07398}},
	{Label: 1, LogProbs: []float32{-2.77403, -0.45978, -1.18363}},
	{Label: 1, LogProbs: []float32{-1.25054, -2.25244, -0.49674}},
	{Label: 1, LogProbs: []float32{-1.17958, -1.46617, -0.77265}},
	{Label: 2, LogProbs: []float32{-1.62220, -1.99080, -0.40654}},
	{Label: 2, LogProbs: []float32{-2.00289, -1.46045, -0.45741}},
}

func TestLessonFixture(t *testing.T) {
	task := task{classes: []string{"cats", "dogs", "signs"}, ps: fixture}
	if n := plots.Right(fixture); n != 6 {
		t.Errorf("%d right, want 6", n)
	}
	if l := plots.LogLoss(fixture); math.Abs(l-1.026204) > 1e-6 {
		t.Errorf("log loss %.7f, want 1.026204", l)
	}
	if p := fixture[2].Probability(1); math.Abs(p-0.4416) > 1e-4 {
		t.Errorf("p %.5f, want 0.4416", p)
	}
	for _, tt := range []struct {
		what      string
		got, want []int
	}{
		{"most correct cats", task.mostCorrect(0, 4), []int{0, 1, 3}},
		{"most correct dogs", task.mostCorrect(1, 4), []int{5}},
		{"most correct signs", task.mostCorrect(2, 4), []int{8, 9}},
		{"most incorrect cats", task.mostIncorrect(0, 4), []int{2}},
		{"most incorrect dogs", task.mostIncorrect(1, 4), []int{6, 7, 4}},
		{"most incorrect signs", task.mostIncorrect(2, 4), []int{}},
		{"most uncertain", task.mostUncertain(4), []int{3, 4, 1, 0}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, tt.got, tt.want)
		}
	}
	wrong := task.atRandom(false, 9, 7)
	if slices.Sort(wrong); !slices.Equal(wrong, []int{2, 4, 6, 7}) {
		t.Errorf("incorrect at random %v, want all four", wrong)
	}
	want := [][]int{{3, 1, 0}, {1, 1, 2}, {0, 0, 2}}
	got := plots.Confusions(fixture, 3)
	for c := range want {
		if !slices.Equal(got[c], want[c]) {
			t.Errorf("confusion row %d: %v, want %v", c, got[c], want[c])
		}
	}
	s := plots.ClassScores(got)[1] // 1 of 2 called dogs is one, 1 of 4 dogs found
	if s.Precision != 0.5 || s.Recall != 0.25 || math.Abs(s.F1-1.0/3) > 1e-15 {
		t.Errorf("dogs: %+v, want precision 1/2, recall 1/4, F1 1/3", s)
	}
	if pairs := plots.Confused(got); pairs[0] != (plots.Pair{True: 1, Predicted: 2, Count: 2, Total: 4}) ||
		len(pairs) != 3 {
		t.Errorf("confused pairs %v", pairs)
	}
}

func TestCalibration(t *testing.T) {
	say := func(p float64, right bool) plots.Prediction {
		q := plots.Prediction{LogProbs: []float32{float32(math.Log(p)), float32(math.Log(1 - p))}}
		if !right {
			q.Label = 1
		}
		return q
	}
	// Bin 0.8-0.9: confidence 0.85, right 1 of 2. Bin 0.6-0.7: confidence 0.65, right 2 of 2.
	ps := []plots.Prediction{say(0.85, true), say(0.85, false), say(0.65, true), say(0.65, true)}
	bs, ece, _ := plots.Calibration(ps)
	// All in one bin of the error: confidence 0.75, right 3 of 4.
	if math.Abs(ece) > 1e-6 {
		t.Errorf("calibration error %.6f, want 0", ece)
	}
	if bs[8].Rows != 2 || bs[8].Accuracy != 0.5 || bs[6].Rows != 2 {
		t.Errorf("bins %+v", bs)
	}
}

func TestSuspicion(t *testing.T) {
	lp := []float32{float32(math.Log(0.1)), float32(math.Log(0.9))}
	near := func(labels ...int) []plots.Neighbour {
		var out []plots.Neighbour
		for _, l := range labels {
			out = append(out, plots.Neighbour{Label: l, Distance: 0.1})
		}
		return out
	}
	twin := func(label int) []plots.Neighbour {
		return []plots.Neighbour{{Label: label, Duplicate: true}, {Label: 0}}
	}
	task := task{classes: []string{"a", "b"}, ps: []plots.Prediction{
		{Label: 0, LogProbs: lp, Neighbours: near(1, 1, 1)},
		{Label: 0, LogProbs: lp, Neighbours: near(1, 0, 1)},
		{Label: 0, LogProbs: lp, Neighbours: twin(1)},
		{Label: 0, LogProbs: lp, Neighbours: twin(0)},
		{Label: 0, LogProbs: lp, Neighbours: near(1, 1)}, // two are too few to tell
	}}
	for i, want := range []string{"Look at its label", "", "Exact duplicate of a training photograph with another",
		"Exact duplicate of a training photograph:", ""} {
		got := task.suspicion(i)
		if want == "" && got != "" || len(got) < len(want) || got[:len(want)] != want {
			t.Errorf("mistake %d: %q, want %q...", i, got, want)
		}
	}
	if got := task.mistakes(9); !slices.Equal(got[:3], []int{0, 2, 3}) {
		t.Errorf("suspicious mistakes do not lead: %v", got)
	}
}

func TestMultiLabel(t *testing.T) {
	row := func(a, b float64) []float32 { return []float32{float32(math.Log(a)), float32(math.Log(b))} }
	task := task{classes: []string{"sea", "sand"}, multi: true, ps: []plots.Prediction{
		{Labels: []int{0, 1}, LogProbs: row(0.9, 0.8)},
		{Labels: []int{0}, LogProbs: row(0.7, 0.6)},
		{LogProbs: row(0.2, 0.1)},
	}}
	if !task.right(0) || task.right(1) || !task.right(2) {
		t.Error("all labels right: want yes, no, yes")
	}
	if task.truth(2) != "none" || task.said(1) != "sea, sand" {
		t.Errorf("names %q, %q", task.truth(2), task.said(1))
	}
	if got := task.mostIncorrect(1, 4); !slices.Equal(got, []int{1}) {
		t.Errorf("most incorrect sand %v", got)
	}
	want := -(math.Log(.9) + math.Log(.8) + math.Log(.7) + math.Log(.4) + math.Log(.8) + math.Log(.9)) / 6
	if got := task.logLoss(); math.Abs(got-want) > 1e-6 {
		t.Errorf("loss %.6f, want %.6f", got, want)
	}
}
