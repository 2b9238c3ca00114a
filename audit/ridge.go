package audit

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

var errNotFinite = errors.New("audit: features that are not finite, or too large to be multiplied; compute them " +
	"again with --recompute")

// Penalties that ridge regression chooses from, in shares of the mean of the kernel's
// diagonal, which is about 2.
var penalties = []float64{.1, .3, 1, 3}

const (
	chunk       = 1024 // rows that are standardised at once
	mostSampled = 2048 // rows from which the penalty is chosen where there are more rows than features
)

// leaveOneOut predicts the targets [n][outputs] of each row by ridge regression on all
// other rows: f(x) = w·x/√d + b with penalty lambda on w and b, of standardised features
// x [n][d]. The answer is that of n separate fits, from one factorisation (Allen 1974):
// with A = XXᵀ/d + 1 + lambda·I, it is y_i − (A⁻¹Y)_i / (A⁻¹)_ii; where there are more rows
// than features, the same from the matrix XᵀX. lambda has the least squared error
// of such predictions among penalties; of more rows than features, on an even sample.
func leaveOneOut(rows [][]float32, targets blas64.General, p Product) (out blas64.General, lambda float64, err error) {
	p = p.orGonum()
	if n, d := len(rows), len(rows[0]); n > d+1 && n > mostSampled {
		step := float64(n) / mostSampled
		some, theirs := make([][]float32, mostSampled), matrix(mostSampled, targets.Cols)
		for i := range some {
			k := int(float64(i) * step)
			some[i] = rows[k]
			copy(theirs.Data[i*theirs.Stride:], targets.Data[k*targets.Stride:(k+1)*targets.Stride])
		}
		if _, lambda, err = outByRows(some, theirs, p); err != nil {
			return out, 0, err
		}
		out, err = outByFeatures(rows, targets, lambda, p)
		return out, lambda, err
	}
	return outByRows(rows, targets, p)
}

// kernel is XXᵀ/d + 1 of standardised rows.
func kernel(rows [][]float32, p Product) (blas64.General, error) {
	n, d := len(rows), len(rows[0])
	s := standardised(rows)
	x, k := matrix(n, d), matrix(n, n)
	s.into(x, 0, n, 1/math.Sqrt(float64(d)))
	if err := p(k, x, x, true); err != nil {
		return k, err
	}
	for i := range k.Data {
		k.Data[i]++
	}
	return k, nil
}

// meanDiagonal of a square matrix.
func meanDiagonal(k blas64.General) float64 {
	sum := 0.0
	for i := range k.Rows {
		sum += k.Data[i*k.Stride+i]
	}
	return sum / float64(k.Rows)
}

// plusDiagonal copies k with v added on the diagonal.
func plusDiagonal(k blas64.General, v float64) blas64.General {
	a := block(k, 0, 0, k.Rows, k.Cols)
	for i := range a.Rows {
		a.Data[i*a.Stride+i] += v
	}
	return a
}

func outByRows(rows [][]float32, targets blas64.General, p Product) (best blas64.General, lambda float64, err error) {
	k, err := kernel(rows, p)
	if err != nil {
		return best, 0, err
	}
	least := math.Inf(1)
	for _, share := range penalties {
		l := share * meanDiagonal(k)
		w, err := invertFactor(plusDiagonal(k, l), p)
		if err != nil {
			return best, 0, err
		}
		out := matrix(targets.Rows, targets.Cols)
		diagonal := columnNorms(w)
		solved := timesTransposed(w, targets)
		loss := 0.0
		for i, d := range diagonal {
			for c := range targets.Cols {
				e := solved.Data[i*solved.Stride+c] / d // y − prediction
				out.Data[i*out.Stride+c] = targets.Data[i*targets.Stride+c] - e
				loss += e * e
			}
		}
		if math.IsNaN(loss) {
			return best, 0, errNotFinite
		}
		if loss < least {
			least, best, lambda = loss, out, l
		}
	}
	return best, lambda, nil
}

// columnNorms are the squared lengths of the columns: the diagonal of WᵀW.
func columnNorms(w blas64.General) []float64 {
	out := make([]float64, w.Cols)
	for i := range w.Rows {
		for j, v := range w.Data[i*w.Stride : i*w.Stride+w.Cols] {
			out[j] += v * v
		}
	}
	return out
}

// timesTransposed is WᵀW·y.
func timesTransposed(w, y blas64.General) blas64.General {
	half, out := matrix(w.Rows, y.Cols), matrix(w.Rows, y.Cols)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, w, y, 0, half)
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, w, half, 0, out)
	return out
}

// outByFeatures is leaveOneOut with one penalty in memory that does not grow with the
// rows: the hat values are the same, h_i = x_i(XᵀX + lambda·I)⁻¹x_i, and the prediction
// without a row is y − (y − f)/(1 − h).
func outByFeatures(rows [][]float32, targets blas64.General, lambda float64, p Product) (blas64.General, error) {
	n, d, s := len(rows), len(rows[0]), standardised(rows)
	by := 1 / math.Sqrt(float64(d))
	g, moment := matrix(d+1, d+1), matrix(d+1, targets.Cols) // XᵀX and XᵀY
	x, part, across := matrix(chunk, d+1), matrix(d+1, d+1), matrix(d+1, chunk)
	for lo := 0; lo < n; lo += chunk {
		hi := min(lo+chunk, n)
		s.into(x, lo, hi, by)
		across.Cols, across.Stride = hi-lo, hi-lo
		for i := range hi - lo {
			for j := range d + 1 {
				across.Data[j*across.Stride+i] = x.Data[i*x.Stride+j]
			}
		}
		if err := p(part, across, first(x, hi-lo), false); err != nil {
			return part, err
		}
		blas64.Axpy(1, vector(part), vector(g))
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, across, window(targets, lo, hi), 1, moment)
	}
	w, err := invertFactor(plusDiagonal(g, lambda), p)
	if err != nil {
		return w, err
	}
	q, out, z := matrix(d+1, targets.Cols), matrix(n, targets.Cols), matrix(chunk, d+1)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, w, moment, 0, q)
	for lo := 0; lo < n; lo += chunk {
		hi := min(lo+chunk, n)
		s.into(x, lo, hi, by)
		if err := p(first(z, hi-lo), first(x, hi-lo), w, true); err != nil {
			return out, err
		}
		f := window(out, lo, hi)
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, first(z, hi-lo), q, 0, f)
		for i := range hi - lo {
			hat := 0.0
			for _, v := range z.Data[i*z.Stride : (i+1)*z.Stride] {
				hat += v * v
			}
			for c := range targets.Cols {
				y := targets.Data[(lo+i)*targets.Stride+c]
				to := &f.Data[i*f.Stride+c]
				if *to = y - (y-*to)/(1-hat); math.IsNaN(*to) {
					return out, errNotFinite
				}
			}
		}
	}
	return out, nil
}

// vector is all of a matrix.
func vector(m blas64.General) blas64.Vector {
	return blas64.Vector{N: len(m.Data), Inc: 1, Data: m.Data}
}

// window is rows [lo, hi) of m, not copied.
func window(m blas64.General, lo, hi int) blas64.General {
	return blas64.General{Rows: hi - lo, Cols: m.Cols, Stride: m.Stride, Data: m.Data[lo*m.Stride : hi*m.Stride]}
}
