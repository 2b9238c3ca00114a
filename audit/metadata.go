package audit

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

func sortBasics(list []Basic) {
	slices.SortStableFunc(list, func(a, b Basic) int { return cmp.Compare(b.Score, a.Score) })
}

// Leak is how well facts of the files alone tell a class, without what the pictures show.
type Leak struct {
	What     string  // which facts
	Class    int     // that they tell best from the others
	AUC      float64 // on validation: the chance that a photograph of the class stands above another
	Low      float64 // the lower end of its 95 % interval, over all classes and facts together
	Noted    bool    // Low > .6
	Flagged  bool    // Noted, AUC of .85 or more, and not the colour, which is what a picture shows
	Examples []int   // rows of facts that stand out most for the class, at most 6
}

const (
	noteFrom  = .6
	warnFrom  = .85
	mostKinds = 8 // formats and tables that have a column each
)

// Metadata asks whether a class shows in the files: in the size in pixels, the size of the
// file, the format and its compression, the mean colour. A logistic regression of each is
// fitted on the training photographs and judged on validation: facts, labels [n]; valid says
// which are of validation. What it cannot see is a difference in what is pictured, such as
// a background or a lamp that only one class has.
func Metadata(facts []Facts, labels []int, valid []bool, classes int) []Leak {
	var out []Leak
	for _, c := range columnsOf(facts) {
		if leak, ok := leakOf(c.values, labels, valid, classes); ok {
			leak.What = c.what
			leak.Flagged = leak.Flagged && !c.content
			out = append(out, leak)
		}
	}
	slices.SortStableFunc(out, func(a, b Leak) int { return cmp.Compare(b.Low, a.Low) })
	return out
}

type column struct {
	what    string
	content bool        // what is pictured has a share in it: worth a note, no fault
	values  [][]float64 // [n][columns]
}

func columnsOf(facts []Facts) []column {
	formats := common(facts, func(f Facts) string { return f.Format })
	tables := common(facts, func(f Facts) string { return f.Compression })
	c := []column{{what: "size in pixels"}, {what: "size of the file"}, {what: "format and compression"},
		{what: "mean colour", content: true}}
	add := func(k int, v ...float64) { c[k].values = append(c[k].values, v) }
	for _, f := range facts {
		w, h := math.Log(float64(max(f.Width, 1))), math.Log(float64(max(f.Height, 1)))
		size := math.Log(float64(max(f.Bytes, 1)))
		longer := max(w, h)
		add(0, w, h, longer, longer*longer)
		add(1, size, size*size, size-w-h)
		kind := []float64{f.Quantum, math.Log1p(f.Quantum), max(sign(f.EXIF), 0), max(sign(f.Pixels.Grey), 0)}
		for _, name := range formats {
			kind = append(kind, max(sign(f.Format == name), 0))
		}
		for _, name := range tables {
			kind = append(kind, max(sign(f.Compression == name), 0))
		}
		add(2, kind...)
		add(3, f.Pixels.Mean[:]...)
	}
	return c
}

// common are the most frequent values, at most mostKinds, in a fixed order.
func common(facts []Facts, of func(Facts) string) []string {
	count := map[string]int{}
	for _, f := range facts {
		count[of(f)]++
	}
	var names []string
	for name := range count {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
	return names[:min(mostKinds, len(names))]
}

func leakOf(values [][]float64, labels []int, valid []bool, classes int) (best Leak, ok bool) {
	scale(values, valid)
	tests := 4.0
	if classes > 2 {
		tests *= float64(classes)
	}
	z := distuv.UnitNormal.Quantile(1 - .025/tests)
	for c := range classes {
		if classes == 2 && c == 0 {
			continue
		}
		w := logistic(values, func(i int) (is, use bool) { return labels[i] == c, !valid[i] && labels[i] >= 0 })
		var yes, no, all []float64
		for i, v := range values {
			s := score(w, v)
			if all = append(all, s); !valid[i] || labels[i] < 0 {
				continue
			}
			if labels[i] == c {
				yes = append(yes, s)
			} else {
				no = append(no, s)
			}
		}
		if len(yes) < fewToJudge || len(no) < fewToJudge {
			continue
		}
		area := auc(yes, no)
		low := area - z*aucError(area, len(yes), len(no))
		if !ok || low > best.Low {
			best = Leak{Class: c, AUC: area, Low: low, Noted: low > noteFrom, Flagged: low > noteFrom && area >= warnFrom,
				Examples: telling(all, labels, c)}
			ok = true
		}
	}
	return best, ok
}

// telling are the photographs of class c with the largest scores, at most 6.
func telling(scores []float64, labels []int, c int) []int {
	var of []int
	for i, y := range labels {
		if y == c {
			of = append(of, i)
		}
	}
	slices.SortStableFunc(of, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return of[:min(6, len(of))]
}

// scale standardises columns by the rows that are not of validation.
func scale(values [][]float64, valid []bool) {
	for j := range values[0] {
		var in []float64
		for i, v := range values {
			if !valid[i] {
				in = append(in, v[j])
			}
		}
		mean, dev := 0.0, spread(in)
		for _, v := range in {
			mean += v / float64(len(in))
		}
		for _, v := range values {
			if v[j] -= mean; dev > 1e-9 {
				v[j] = min(max(v[j]/dev, -5), 5)
			} else {
				v[j] = 0
			}
		}
	}
}

func score(w, v []float64) float64 {
	s := w[len(v)]
	for j, x := range v {
		s += w[j] * x
	}
	return s
}

// logistic fits weights, the last of them the constant, by Newton's method with a penalty of 1 on
// the others' squares over two.
func logistic(values [][]float64, of func(i int) (is, use bool)) []float64 {
	d := len(values[0]) + 1
	w := make([]float64, d)
	for range 25 {
		hessian, gradient := mat.NewSymDense(d, nil), mat.NewVecDense(d, nil)
		for j := range d - 1 {
			hessian.SetSym(j, j, 1)
			gradient.SetVec(j, -w[j])
		}
		hessian.SetSym(d-1, d-1, 1e-6)
		row := make([]float64, d)
		for i, v := range values {
			is, use := of(i)
			if !use {
				continue
			}
			copy(row, v)
			row[d-1] = 1
			p := 1 / (1 + math.Exp(-score(w, v)))
			for a := range d {
				gradient.SetVec(a, gradient.AtVec(a)+(max(sign(is), 0)-p)*row[a])
				for b := a; b < d; b++ {
					hessian.SetSym(a, b, hessian.At(a, b)+p*(1-p)*row[a]*row[b])
				}
			}
		}
		var f mat.Cholesky
		var step mat.VecDense
		if !f.Factorize(hessian) || f.SolveVecTo(&step, gradient) != nil {
			break
		}
		for j := range w {
			w[j] += step.AtVec(j)
		}
		if mat.Norm(&step, 2) < 1e-8 {
			break
		}
	}
	return w
}

// auc is the chance that one of yes stands above one of no, equals counting half.
func auc(yes, no []float64) float64 {
	all := append(slices.Clone(yes), no...)
	slices.Sort(all)
	sum := 0.0
	for _, v := range yes {
		below, found := slices.BinarySearch(all, v)
		above := below
		if found {
			above, _ = slices.BinarySearchFunc(all, v, func(a, b float64) int {
				if a <= b {
					return -1
				}
				return 1
			})
		}
		sum += float64(below+above+1) / 2 // the mean rank of equals, from 1
	}
	y, n := float64(len(yes)), float64(len(no))
	return (sum - y*(y+1)/2) / (y * n)
}

// aucError is the standard error of an area (Hanley and McNeil 1982).
func aucError(a float64, yes, no int) float64 {
	q1, q2 := a/(2-a), 2*a*a/(1+a)
	return math.Sqrt(max((a*(1-a)+float64(yes-1)*(q1-a*a)+float64(no-1)*(q2-a*a))/float64(yes*no), 0))
}
