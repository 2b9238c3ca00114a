package audit

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/stat"
)

// LabelCurve is the accuracy that so many labels give, and what more of them would add.
type LabelCurve struct {
	Points []LabelPoint `json:"points"` // the fewest labels first
	Valid  int          `json:"valid"`  // photographs that the accuracy is of
	Labels int          `json:"labels"` // that there are; of more than 2,000 the points end at 2,000
	More   int          `json:"more"`   // labels that Gain is of; 0: nothing can be said
	Gain   float64      `json:"gain"`   // in accuracy, by a power law of the errors
	Low    float64      `json:"low"`    // 90 % interval of Gain
	High   float64      `json:"high"`
	Law    PowerLaw     `json:"law"`
}

// PowerLaw is the share of errors that so many labels give: Floor + Scale·labels^-Power.
type PowerLaw struct {
	Floor float64 `json:"floor"`
	Scale float64 `json:"scale"`
	Power float64 `json:"power"`
}

// Errors are those of n labels.
func (l PowerLaw) Errors(n int) float64 { return l.Floor + l.Scale*math.Pow(float64(n), -l.Power) }

// LabelPoint is a number of labels and the accuracy that they give.
type LabelPoint struct {
	Labels   int     `json:"labels"`
	Accuracy float64 `json:"accuracy"`
	Low      float64 `json:"low"` // of the draws
	High     float64 `json:"high"`
}

// Told reports whether more labels help for all that is known: the interval of the gain is above 0.
func (c LabelCurve) Told() bool { return c.More > 0 && c.Low > 0 }

const (
	mostCurve   = 2000 // training photographs that are drawn from
	mostJudged  = 1000 // validation photographs
	curveDraws  = 5
	fewestDrawn = 16
	resamples   = 400
)

// NewLabelCurve learns from more and more of the training rows, in five random orders, by ridge regression as for
// wrong labels, and predicts the validation rows. Labels are below classes; rows with another are left out. One
// factorisation of an order's kernel holds those of all its beginnings. Of fewer than 4 sizes, or 20 validation
// rows, it is nil. Two power laws are fitted to the errors of all sizes, one that ends at none and one whose floor
// fits best: nobody knows which is right. The interval is of both, of resampled draws and validation rows, and
// the gain is its middle.
func NewLabelCurve(train [][]float32, labels []int, valid [][]float32, truth []int, classes int,
	p Product) (*LabelCurve, error) {
	train, labels = labelled(train, labels, classes, math.MaxInt)
	out := &LabelCurve{Labels: len(train)}
	draw := rand.New(rand.NewPCG(13, 14))
	draw.Shuffle(len(train), func(i, j int) {
		train[i], train[j], labels[i], labels[j] = train[j], train[i], labels[j], labels[i]
	})
	train, labels = train[:min(len(train), mostCurve)], labels[:min(len(train), mostCurve)]
	valid, truth = labelled(valid, truth, classes, mostJudged)
	out.Valid = len(valid)
	sizes := halves(len(train), max(fewestDrawn, 2*classes))
	if len(sizes) < 4 || len(valid) < 20 || classes < 2 {
		return nil, nil
	}
	right, err := rightBySize(train, labels, valid, truth, classes, sizes, p)
	if err != nil {
		return nil, err
	}
	for k, m := range sizes {
		var each []float64
		for _, of := range right[k] {
			each = append(each, share(of))
		}
		out.Points = append(out.Points, LabelPoint{m, stat.Mean(each, nil), slices.Min(each), slices.Max(each)})
	}
	out.extrapolate(sizes, right, draw)
	return out, nil
}

// labelled are copies of the lists without the rows that have no class; evenly at most so many.
func labelled(rows [][]float32, labels []int, classes, most int) (r [][]float32, l []int) {
	for i, y := range labels {
		if y >= 0 && y < classes {
			r, l = append(r, rows[i]), append(l, y)
		}
	}
	return evenly(r, most), evenly(l, most)
}

// halves are n, n/2, n/4 and so on, down to the fewest, at most seven, the smallest first.
func halves(n, fewest int) (sizes []int) {
	for m := n; m >= fewest && len(sizes) < 7; m /= 2 {
		sizes = append(sizes, m)
	}
	slices.Reverse(sizes)
	return sizes
}

// rightBySize says of each size, draw and validation row whether it is right. All rows can be drawn in one way only.
func rightBySize(train [][]float32, labels []int, valid [][]float32, truth []int, classes int, sizes []int,
	p Product) ([][][]bool, error) {
	p = p.orGonum()
	n, d := len(train), len(train[0])
	s := standardised(train)
	x, v := matrix(n, d), matrix(len(valid), d)
	s.into(x, 0, n, 1/math.Sqrt(float64(d)))
	scaled{valid, s.mean, s.over}.into(v, 0, len(valid), 1/math.Sqrt(float64(d)))
	k, across := matrix(n, n), matrix(len(valid), n)
	if err := p(k, x, x, true); err != nil {
		return nil, err
	}
	if err := p(across, v, x, true); err != nil {
		return nil, err
	}
	for _, m := range []blas64.General{k, across} {
		for i := range m.Data {
			m.Data[i]++
		}
	}
	targets := matrix(n, classes)
	for i, y := range labels {
		for c := range classes {
			targets.Data[i*classes+c] = sign(c == y)
		}
	}
	_, lambda, err := outByRows(evenly(train, 500), evenlyRows(targets, 500), p)
	if err != nil {
		return nil, err
	}
	right := make([][][]bool, len(sizes))
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	draw := rand.New(rand.NewPCG(15, 16))
	for r := range curveDraws {
		most := sizes[len(sizes)-1]
		if r > 0 {
			draw.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
			most = sizes[len(sizes)-2]
		}
		w, err := invertFactor(plusDiagonal(drawn(k, order[:most], order[:most]), lambda), p)
		if err != nil {
			return nil, err
		}
		y, a := drawn(targets, order[:most], nil), drawn(across, nil, order[:most])
		for i, m := range sizes {
			if m > most {
				continue
			}
			out := matrix(len(valid), classes)
			top := w // the inverse factor of a beginning is the beginning of the inverse factor
			top.Rows, top.Cols = m, m
			part := a
			part.Cols = m
			blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, part, timesTransposed(top, first(y, m)), 0, out)
			right[i] = append(right[i], hits(out, truth))
		}
	}
	return right, nil
}

// drawn copies rows and columns of m; nil: all.
func drawn(m blas64.General, rows, cols []int) blas64.General {
	if rows == nil {
		rows = make([]int, m.Rows)
		for i := range rows {
			rows[i] = i
		}
	}
	if cols == nil {
		out := matrix(len(rows), m.Cols)
		for i, r := range rows {
			copy(out.Data[i*out.Stride:(i+1)*out.Stride], m.Data[r*m.Stride:])
		}
		return out
	}
	out := matrix(len(rows), len(cols))
	for i, r := range rows {
		from, to := m.Data[r*m.Stride:], out.Data[i*out.Stride:]
		for j, c := range cols {
			to[j] = from[c]
		}
	}
	return out
}

// hits says of each row of scores whether the largest is that of the truth.
func hits(scores blas64.General, truth []int) []bool {
	out := make([]bool, len(truth))
	for i, y := range truth {
		row := scores.Data[i*scores.Stride : i*scores.Stride+scores.Cols]
		best := 0
		for c, v := range row {
			if v > row[best] {
				best = c
			}
		}
		out[i] = best == y
	}
	return out
}

// extrapolate fits the power law, and again to resampled draws and validation rows.
func (c *LabelCurve) extrapolate(sizes []int, right [][][]bool, draw *rand.Rand) {
	n := c.Labels
	switch {
	case n > mostCurve: // too far from what was measured
		return
	case n < 200:
		c.More = n
	default:
		c.More = 500
	}
	gain := func(l PowerLaw) float64 { return l.Errors(n) - l.Errors(n+c.More) }
	errors := func(weight []float64, draws []int) []float64 {
		out := make([]float64, len(sizes))
		for k, of := range right {
			wrong, all := .5, 1.0 // none wrong has a logarithm too
			for _, r := range draws {
				for i, ok := range of[min(r, len(of)-1)] {
					if all += weight[i]; !ok {
						wrong += weight[i]
					}
				}
			}
			out[k] = wrong / all
		}
		return out
	}
	weight := slices.Repeat([]float64{1}, c.Valid)
	_, c.Law = powerLaws(sizes, errors(weight, []int{0, 1, 2, 3, 4}))
	var gains []float64
	for range resamples {
		clear(weight)
		for range weight {
			weight[draw.IntN(len(weight))]++
		}
		draws := make([]int, curveDraws)
		for r := range draws {
			draws[r] = draw.IntN(curveDraws)
		}
		none, floor := powerLaws(sizes, errors(weight, draws))
		gains = append(gains, gain(none), gain(floor))
	}
	c.Low, c.Gain, c.High = quantile(gains, .05), quantile(gains, .5), quantile(gains, .95)
}

// powerLaws fits one law without a floor, and one whose floor, of ten shares of the least errors, leaves the least
// squares: of logarithms of what lies above the floor, weighed by it, larger sizes counting more.
func powerLaws(sizes []int, errors []float64) (none, best PowerLaw) {
	least, lowest := math.Inf(1), slices.Min(errors)
	for step := range 10 {
		floor := lowest * float64(step) / 10
		var w, x, y, xx, xy float64
		for k, m := range sizes {
			above := errors[k] - floor
			weight, lx, ly := math.Sqrt(float64(m))*above*above, math.Log(float64(m)), math.Log(above)
			w, x, y, xx, xy = w+weight, x+weight*lx, y+weight*ly, xx+weight*lx*lx, xy+weight*lx*ly
		}
		l := PowerLaw{Floor: floor, Power: -(w*xy - x*y) / (w*xx - x*x)}
		l.Scale = math.Exp((y + l.Power*x) / w)
		loss := 0.0
		for k, m := range sizes {
			e := errors[k] - l.Errors(m)
			loss += math.Sqrt(float64(m)) * e * e
		}
		if step == 0 {
			none = l
		}
		if loss < least {
			least, best = loss, l
		}
	}
	return none, best
}

// share is how many are true.
func share(of []bool) float64 {
	n := 0
	for _, ok := range of {
		if ok {
			n++
		}
	}
	return float64(n) / float64(len(of))
}
