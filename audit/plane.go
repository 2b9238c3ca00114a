package audit

import (
	"math"
	"math/rand/v2"

	"finetune/internal/half"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// Plane is what training rows have in common: the plane of their first principal components,
// once each row has length 1. How far another row lies from it says how unlike them it is.
type Plane struct {
	Mean      []float32 // [features], a point of the plane
	Axes      []float32 // [rank, features], orthonormal but for rounding: each value is one of float16
	Threshold float64   // distance that 1 in 100 training rows exceed
}

// NewPlane is Odd's plane of the training rows, nil of fewer than eight. Training rows are
// held against planes of the other four fifths for the threshold.
func NewPlane(train [][]float32, p Product) (*Plane, error) {
	if len(train) < fewestRows {
		return nil, nil
	}
	f, distance, err := fold(train, p)
	if err != nil {
		return nil, err
	}
	return f.plane(distance), nil
}

// plane is f rounded to what is stored, with the threshold of training distances.
func (f fitted) plane(distance []float64) *Plane {
	out := &Plane{Mean: make([]float32, len(f.mean)), Axes: make([]float32, len(f.axes.Data)),
		Threshold: max(quantile(distance, oddShare), leastThreshold)}
	for i, v := range f.mean {
		out.Mean[i] = float32(v)
	}
	for i := range f.axes.Rows {
		for j := range f.axes.Cols {
			out.Axes[i*f.axes.Cols+j] = toHalf(f.axes.Data[i*f.axes.Stride+j])
		}
	}
	return out
}

// leastThreshold is of training rows that lie in one plane: float32 tells no less.
const leastThreshold = 1e-5

// toHalf rounds to what float16 can hold.
func toHalf(v float64) float32 { return half.Float32(half.Of(v)) }

// Oddness is the distance of a row to the plane over the threshold: above 1 it is odd. It is
// NaN of a row that is no numbers.
func (p *Plane) Oddness(row []float32) float32 {
	length := 0.0
	for _, v := range row {
		length += float64(v) * float64(v)
	}
	length = max(math.Sqrt(length), 1e-12)
	x := make([]float32, len(row))
	rest := 0.0
	for j, v := range row {
		d := float64(v)/length - float64(p.Mean[j])
		x[j] = float32(d)
		rest += d * d
	}
	of := blas32.Vector{N: len(x), Inc: 1, Data: x}
	for k := 0; k < len(p.Axes); k += len(row) {
		along := blas32.DDot(of, blas32.Vector{N: len(x), Inc: 1, Data: p.Axes[k:]})
		rest -= along * along
	}
	return float32(math.Sqrt(max(rest, 0)) / p.Threshold)
}

// fitted is a plane in float64.
type fitted struct {
	mean []float64
	axes blas64.General
}

// fit lays a plane through the rows.
func fit(train [][]float32, p Product) (f fitted, err error) {
	p = p.orGonum()
	train = evenly(train, planeRows)
	u, d := unitRows(train, nil), len(train[0])
	f.mean = make([]float64, d)
	x := matrix(chunk, d)
	for lo := 0; lo < len(train); lo += chunk {
		hi := min(lo+chunk, len(train))
		u.into(x, lo, hi)
		for i := range hi - lo {
			blas64.Axpy(1/float64(len(train)), vector(window(x, i, i+1)), blas64.Vector{N: d, Inc: 1, Data: f.mean})
		}
	}
	f.axes, err = mainAxes(u, f.mean, min(planeRank, len(train)/4, max(d/2, 1)), p)
	return f, err
}

// fold is the plane of all training rows, and the distance of each to that of the rows of
// other folds. Those planes begin anywhere: begun with that of all rows, they would know the rows
// that they are held against.
func fold(train [][]float32, p Product) (all fitted, distance []float64, err error) {
	if all, err = fit(train, p); err != nil {
		return all, nil, err
	}
	of := rand.New(rand.NewPCG(9, 10)).Perm(len(train))
	distance = make([]float64, len(train))
	for f := range folds {
		var in, out [][]float32
		var at []int
		for i, r := range train {
			if of[i]%folds == f {
				out, at = append(out, r), append(at, i)
			} else {
				in = append(in, r)
			}
		}
		plane, err := fit(in, p)
		if err != nil {
			return all, nil, err
		}
		d, err := plane.distances(out, p)
		if err != nil {
			return all, nil, err
		}
		for k, i := range at {
			distance[i] = d[k]
		}
	}
	return all, distance, nil
}

// distances are those of rows to the plane.
func (f fitted) distances(rows [][]float32, p Product) ([]float64, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	p = p.orGonum()
	out, of, x := make([]float64, len(rows)), unitRows(rows, nil), matrix(chunk, len(f.mean))
	along := matrix(chunk, f.axes.Rows)
	for lo := 0; lo < len(rows); lo += chunk {
		hi := min(lo+chunk, len(rows))
		of.into(x, lo, hi)
		centre(x, hi-lo, f.mean)
		if err := p(first(along, hi-lo), first(x, hi-lo), f.axes, true); err != nil {
			return nil, err
		}
		for i := range hi - lo {
			r, a := blas64.Nrm2(vector(window(x, i, i+1))), blas64.Nrm2(vector(window(along, i, i+1)))
			out[lo+i] = math.Sqrt(max(r*r-a*a, 0))
		}
	}
	return out, nil
}
