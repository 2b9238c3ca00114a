package plots

import (
	"math"
	"slices"
	"sort"

	"finetune/calibration"
	"finetune/metrics"
)

// Prediction is what a model said about one labelled photograph.
type Prediction struct {
	Path       string      // as recorded, relative to the data folder; what Report.Load is given
	Label      int         // index of the true class
	Labels     []int       // the true classes of a multi-label photograph; Label is then unused
	LogProbs   []float32   // natural logarithm of the probability of each class
	Oddness    float32     // how unlike the training photographs: above 1 is odd; 0: not known
	Neighbours []Neighbour // nearest training photographs, nearest first; wanted for mistakes only
}

// Neighbour is a training photograph near a prediction's in feature space.
type Neighbour struct {
	Path      string
	Label     int
	Distance  float64 // in the units that Report.Distance names
	Duplicate bool    // the two files, or their decoded pixels, are equal
}

// Probability is the probability of class c, 0 to 1.
func (p Prediction) Probability(c int) float64 {
	if c < 0 || c >= len(p.LogProbs) {
		return math.NaN()
	}
	return math.Exp(float64(p.LogProbs[c]))
}

// Says reports whether label c counts as predicted: above one half, as in tables of
// scores, in metrics and in what serve answers.
func (p Prediction) Says(c int) bool {
	return c >= 0 && c < len(p.LogProbs) && metrics.Present(p.LogProbs[c])
}

// Predicted is the most probable class, the first of equals; -1 if there is none.
func (p Prediction) Predicted() int { return metrics.Best(p.LogProbs) }

// Right reports whether the most probable class is the true one.
func (p Prediction) Right() bool { return p.Predicted() == p.Label }

// Right counts the predictions whose most probable class is the true one.
func Right(ps []Prediction) int {
	n := 0
	for _, p := range ps {
		if p.Right() {
			n++
		}
	}
	return n
}

// LogLoss is the mean negative logarithm of the probability of the true class,
// in nats; NaN for no predictions.
func LogLoss(ps []Prediction) float64 {
	sum := 0.0
	for _, p := range ps {
		if p.Label >= 0 && p.Label < len(p.LogProbs) {
			sum -= float64(p.LogProbs[p.Label])
		}
	}
	return sum / float64(len(ps))
}

// Wilson is the 95 % interval of a share right/n.
func Wilson(right, n int) (lo, hi float64) {
	return metrics.Wilson(float64(right)/float64(n), n)
}

// Confusions counts predictions by true class (row) and predicted class
// (column), always [classes][classes], whichever classes occur.
func Confusions(ps []Prediction, classes int) [][]int {
	m := make([][]int, classes)
	for i := range m {
		m[i] = make([]int, classes)
	}
	for _, p := range ps {
		if c := p.Predicted(); p.Label >= 0 && p.Label < classes && c >= 0 && c < classes {
			m[p.Label][c]++
		}
	}
	return m
}

// ClassScore is how one class fared. A share of nothing is NaN.
type ClassScore struct {
	True, Predicted, Right int // photographs of the class, called the class, both
	Precision, Recall, F1  float64
}

// NewClassScore is that of a class with so many photographs, so many called it, and so many of both.
func NewClassScore(isClass, called, both int) ClassScore {
	s := ClassScore{True: isClass, Predicted: called, Right: both}
	s.Precision = float64(both) / float64(called)
	s.Recall = float64(both) / float64(isClass)
	s.F1 = 2 * float64(both) / float64(isClass+called)
	return s
}

// ClassScores summarises a confusion matrix, one score per class.
func ClassScores(m [][]int) []ClassScore {
	out := make([]ClassScore, len(m))
	for c := range m {
		isClass, called := 0, 0
		for k := range m {
			isClass += m[c][k]
			called += m[k][c]
		}
		out[c] = NewClassScore(isClass, called, m[c][c])
	}
	return out
}

// Pair is a kind of mistake: Count photographs of class True, of Total, were
// called class Predicted.
type Pair struct{ True, Predicted, Count, Total int }

// Confused lists the kinds of mistake, most frequent first, then by share, then
// in class order.
func Confused(m [][]int) []Pair {
	var out []Pair
	for t, row := range m {
		total := 0
		for _, n := range row {
			total += n
		}
		for p, n := range row {
			if p != t && n > 0 {
				out = append(out, Pair{t, p, n, total})
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Count != out[j].Count {
			return out[i].Count > out[j].Count
		}
		return out[i].Total < out[j].Total
	})
	return out
}

// Calibration are ranges of equal width of the predictions that have a probability, their
// calibration error, and what perfect probabilities would show by chance.
func Calibration(ps []Prediction) (list []metrics.Bin, ece, byChance float64) {
	var logp []float32
	var labels []int
	classes := 0
	for _, p := range ps {
		if classes == 0 {
			classes = len(p.LogProbs)
		}
		if len(p.LogProbs) == classes && finite(p.Probability(p.Predicted())) {
			logp, labels = append(logp, p.LogProbs...), append(labels, p.Label)
		}
	}
	_, list = metrics.Calibration(logp, labels, max(classes, 1), bins)
	ece, byChance = calibration.Error(logp, labels, max(classes, 1))
	return list, ece, byChance
}

// WithoutTemperature are predictions as the head made them.
func WithoutTemperature(ps []Prediction, temperature float64) []Prediction {
	out := slices.Clone(ps)
	for i, p := range ps {
		out[i].LogProbs = slices.Clone(p.LogProbs)
		calibration.Scale(out[i].LogProbs, len(p.LogProbs), false, 1/temperature)
	}
	return out
}

// Is reports whether class c is true of the photograph.
func (p Prediction) Is(c int, multi bool) bool {
	if !multi {
		return p.Label == c
	}
	return slices.Contains(p.Labels, c)
}
