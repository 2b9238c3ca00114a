package audit

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"
)

// Label is what the other photographs say of one photograph's label.
type Label struct {
	Row       int     // index into the rows
	Score     float64 // what the others say for it less what they say against it; below 0 they contradict it
	Flagged   bool    // another class is as likely as it is for photographs of its own
	Suggested []int   // the class that the others give it, or its labels; what it has where nothing is flagged
}

// fewToJudge is the size below which a class is too small to say that a photograph is
// none of it, or one of it.
const fewToJudge = 5

// WrongLabels ranks photographs by how much all others contradict their label, the worst
// first: rows [n][features], labels [n] below classes. Each class is a target of ±1 that
// ridge regression predicts from all other photographs (leaveOneOut). The output for a class
// less that for not being of it is twice the output, which is the score of the label. The best
// other class has no part in it: where two classes are alike, their photographs would go before
// a label that nothing speaks for.
//
// Flagged are off-diagonal members of the confident joint (Northcutt et al. 2021): with
// p the softmax of a·outputs, a the slope of the largest likelihood, a class's threshold
// is the mean of p over photographs labelled so; flagged is a photograph of which another
// class passes its own threshold and has a larger p than the label.
func WrongLabels(rows [][]float32, labels []int, classes int, p Product) ([]Label, error) {
	n := len(rows)
	if n == 0 {
		return nil, nil
	}
	targets, size := matrix(n, classes), make([]int, classes)
	for i, y := range labels {
		size[y]++
		for c := range classes {
			targets.Data[i*classes+c] = sign(c == y)
		}
	}
	f, _, err := leaveOneOut(rows, targets, p)
	if err != nil {
		return nil, err
	}
	slope := maximum(func(a float64) float64 { return likelihood(f, labels, a) })
	probability, threshold := matrix(n, classes), make([]float64, classes)
	for i, y := range labels {
		softmax(probability.Data[i*classes:(i+1)*classes], f.Data[i*classes:(i+1)*classes], slope)
		threshold[y] += probability.Data[i*classes+y] / float64(size[y])
	}
	out := make([]Label, n)
	for i, y := range labels {
		to := joint(probability.Data[i*classes:(i+1)*classes], y, threshold,
			func(c int) bool { return size[c] >= fewToJudge })
		out[i] = Label{Row: i, Score: 2 * f.Data[i*classes+y], Suggested: []int{y}}
		if to >= 0 && size[y] >= fewToJudge {
			out[i].Flagged, out[i].Suggested = true, []int{to}
		}
	}
	sortLabels(out)
	return out, nil
}

// joint is the column of the confident joint that a photograph labelled y with
// probabilities q belongs to, -1 where that is y's own: the likeliest class that passes
// its threshold and is likelier than y, of those that may be judged.
func joint(q []float64, y int, threshold []float64, judged func(class int) bool) int {
	best := -1
	for c := range q {
		if c != y && judged(c) && q[c] >= threshold[c] && q[c] > q[y] && (best < 0 || q[c] > q[best]) {
			best = c
		}
	}
	return best
}

// WrongTags is WrongLabels of photographs that have any number of labels [n][]: each label
// is there or not, which the others confirm or contradict. A photograph's score is that of
// its most doubtful label; Suggested has each label changed that is flagged.
func WrongTags(rows [][]float32, labels [][]int, classes int, p Product) ([]Label, error) {
	n := len(rows)
	if n == 0 {
		return nil, nil
	}
	targets := matrix(n, classes)
	for i, list := range labels {
		for c := range classes {
			targets.Data[i*classes+c] = sign(slices.Contains(list, c))
		}
	}
	f, _, err := leaveOneOut(rows, targets, p)
	if err != nil {
		return nil, err
	}
	out := make([]Label, n)
	for i := range out {
		out[i] = Label{Row: i, Score: math.Inf(1), Suggested: slices.Clone(labels[i])}
	}
	for c := range classes {
		judgeTag(out, f, targets, c)
	}
	for i := range out {
		slices.Sort(out[i].Suggested)
	}
	sortLabels(out)
	return out, nil
}

// judgeTag looks at one label of all photographs.
func judgeTag(out []Label, f, targets blas64.General, c int) {
	margins, sides := make([]float64, len(out)), make([]int, len(out)) // sides: 1 there, 0 not
	var size [2]int
	for i := range out {
		t := targets.Data[i*targets.Stride+c]
		margins[i] = t * f.Data[i*f.Stride+c]
		if t > 0 {
			sides[i] = 1
		}
		size[sides[i]]++
	}
	slope := maximum(func(a float64) (sum float64) {
		for _, m := range margins {
			sum -= math.Log1p(math.Exp(-2 * a * m))
		}
		return sum
	})
	own := make([]float64, len(out)) // the probability of what the label says
	var threshold [2]float64
	for i, m := range margins {
		own[i] = 1 / (1 + math.Exp(-2*slope*m))
		threshold[sides[i]] += own[i] / float64(size[sides[i]])
	}
	for i := range out {
		out[i].Score = min(out[i].Score, margins[i])
		if other := 1 - own[i]; min(size[0], size[1]) < fewToJudge || other < threshold[1-sides[i]] || other <= own[i] {
			continue
		}
		out[i].Flagged = true
		if at := slices.Index(out[i].Suggested, c); at >= 0 {
			out[i].Suggested = slices.Delete(out[i].Suggested, at, at+1)
		} else {
			out[i].Suggested = append(out[i].Suggested, c)
		}
	}
}

// sortLabels puts the most contradicted first; equals keep the order of rows.
func sortLabels(list []Label) {
	slices.SortStableFunc(list, func(a, b Label) int { return cmp.Compare(a.Score, b.Score) })
}

func sign(yes bool) float64 {
	if yes {
		return 1
	}
	return -1
}

// likelihood is the logarithm of the probability that softmax(a·f) gives the labels.
func likelihood(f blas64.General, labels []int, a float64) (sum float64) {
	for i, y := range labels {
		row := f.Data[i*f.Stride : i*f.Stride+f.Cols]
		top, total := slices.Max(row), 0.0
		for _, v := range row {
			total += math.Exp(a * (v - top))
		}
		sum += a*(row[y]-top) - math.Log(total)
	}
	return sum
}

func softmax(dst, f []float64, a float64) {
	top, total := slices.Max(f), 0.0
	for c, v := range f {
		dst[c] = math.Exp(a * (v - top))
		total += dst[c]
	}
	for c := range dst {
		dst[c] /= total
	}
}

// maximum is the place of the largest value of a function with one maximum, on a
// logarithmic scale from .01 to 100, by golden section.
func maximum(of func(float64) float64) float64 {
	ratio := (math.Sqrt(5) - 1) / 2
	lo, hi := math.Log(.01), math.Log(100)
	a, b := hi-ratio*(hi-lo), lo+ratio*(hi-lo)
	fa, fb := of(math.Exp(a)), of(math.Exp(b))
	for hi-lo > 1e-4 {
		if fa >= fb {
			hi, b, fb = b, a, fa
			a = hi - ratio*(hi-lo)
			fa = of(math.Exp(a))
		} else {
			lo, a, fa = a, b, fb
			b = lo + ratio*(hi-lo)
			fb = of(math.Exp(b))
		}
	}
	return math.Exp((lo + hi) / 2)
}
