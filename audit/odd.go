package audit

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"
)

// Oddness of a row, and how it stands among the training rows.
type Oddness struct {
	Score   float64 // distance to the plane over the threshold: above 1 are 1 in 100 training photographs
	Flagged bool    // far beyond the others: Score lies 5 deviations above the median
}

const (
	planeRank  = 32    // of the plane; a quarter of the rows where those are few
	planeRows  = 10000 // rows that a plane is laid through, at most
	oddShare   = .99   // quantile of the distances that is the threshold
	outlying   = 5     // deviations, by the median of distances to the median, of logarithms
	fewestRows = 8     // that a plane is laid through
	iterations = 6     // of subspace iteration: the plane's variance is that of 32 main axes to 1 in 1,000
)

// Odd measures how unlike the training rows each row is: the distance of its features, of
// length 1, to the plane of their first 32 principal components (fewer of few rows or
// features). Training rows are measured by planes of the other four fifths; the threshold
// is the 99 % quantile of those. all is NewPlane's of the training rows.
func Odd(train, others [][]float32, p Product) (ofTrain, ofOthers []Oddness, all *Plane, err error) {
	n := len(train)
	if n < fewestRows {
		return make([]Oddness, n), make([]Oddness, len(others)), nil, nil
	}
	plane, distance, err := fold(train, p)
	if err != nil {
		return nil, nil, nil, err
	}
	beyond, err := plane.distances(others, p)
	if err != nil {
		return nil, nil, nil, err
	}
	threshold := max(quantile(distance, oddShare), math.SmallestNonzeroFloat64)
	logs := make([]float64, n)
	for i, d := range distance {
		logs[i] = math.Log(max(d, 1e-9))
	}
	middle := quantile(logs, .5)
	for i := range logs {
		logs[i] = math.Abs(logs[i] - middle)
	}
	limit := middle + outlying*1.4826*quantile(logs, .5)
	judge := func(list []float64) []Oddness {
		out := make([]Oddness, len(list))
		for i, d := range list {
			out[i] = Oddness{d / threshold, d > threshold && math.Log(max(d, 1e-9)) > limit}
		}
		return out
	}
	return judge(distance), judge(beyond), plane.plane(distance), nil
}

func centre(x blas64.General, n int, mean []float64) {
	for i := range n {
		blas64.Axpy(-1, blas64.Vector{N: len(mean), Inc: 1, Data: mean}, vector(window(x, i, i+1)))
	}
}

// mainAxes are the first principal axes [rank][features], orthonormal, by subspace
// iteration with ten axes more (Halko et al. 2011); the first rank of them.
func mainAxes(u unit, mean []float64, rank int, p Product) (blas64.General, error) {
	k := min(rank+10, u.rows, u.cols)
	axes, next, x, along := matrix(k, u.cols), matrix(k, u.cols), matrix(chunk, u.cols), matrix(chunk, k)
	sum := matrix(k, u.cols)
	random := rand.New(rand.NewPCG(11, 12))
	for i := range axes.Data {
		axes.Data[i] = random.NormFloat64()
	}
	for range iterations {
		orthonormal(axes)
		clear(next.Data)
		for lo := 0; lo < u.rows; lo += chunk {
			hi := min(lo+chunk, u.rows)
			u.into(x, lo, hi)
			centre(x, hi-lo, mean)
			if err := p(first(along, hi-lo), first(x, hi-lo), axes, true); err != nil {
				return axes, err
			}
			if err := p(sum, transposed(first(along, hi-lo)), first(x, hi-lo), false); err != nil {
				return axes, err
			}
			blas64.Axpy(1, vector(sum), vector(next))
		}
		axes, next = next, axes
		sortByLength(axes)
	}
	orthonormal(axes)
	return window(axes, 0, rank), nil
}

func transposed(m blas64.General) blas64.General {
	t := matrix(m.Cols, m.Rows)
	for i := range m.Rows {
		for j := range m.Cols {
			t.Data[j*t.Stride+i] = m.Data[i*m.Stride+j]
		}
	}
	return t
}

// sortByLength puts the longest rows first.
func sortByLength(m blas64.General) {
	rows := make([]blas64.General, m.Rows)
	for i := range rows {
		rows[i] = block(m, i, 0, 1, m.Cols)
	}
	slices.SortStableFunc(rows, func(a, b blas64.General) int {
		return cmp.Compare(blas64.Nrm2(vector(b)), blas64.Nrm2(vector(a)))
	})
	for i, r := range rows {
		put(m, r, i, 0)
	}
}

// orthonormal makes the rows so, one after the other, twice for rounding.
func orthonormal(m blas64.General) {
	for i := range m.Rows {
		r := vector(window(m, i, i+1))
		for range 2 {
			for j := range i {
				other := vector(window(m, j, j+1))
				blas64.Axpy(-blas64.Dot(r, other), other, r)
			}
		}
		if length := blas64.Nrm2(r); length > 1e-12 {
			blas64.Scal(1/length, r)
		} else {
			clear(r.Data)
		}
	}
}

// quantile of values, between neighbours in proportion, as numpy's default. 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Clone(values)
	slices.Sort(v)
	at := q * float64(len(v)-1)
	lo := int(at)
	return v[lo] + (at-float64(lo))*(v[min(lo+1, len(v)-1)]-v[lo])
}
