package audit

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"

	"finetune/internal/columns"
)

// Product computes dst = a·b, or a·bᵀ where transB says so, of matrices whose rows follow
// each other without gaps. dst is neither a nor b.
type Product func(dst, a, b blas64.General, transB bool) error

// orGonum is the product to use where none is given.
func (p Product) orGonum() Product {
	if p != nil {
		return p
	}
	return func(dst, a, b blas64.General, transB bool) error {
		t := blas.NoTrans
		if transB {
			t = blas.Trans
		}
		blas64.Gemm(blas.NoTrans, t, 1, a, b, 0, dst)
		return nil
	}
}

// matrix is a new matrix of zeros.
func matrix(rows, cols int) blas64.General {
	return blas64.General{Rows: rows, Cols: cols, Stride: max(cols, 1), Data: make([]float64, rows*cols)}
}

// block copies rows [r, r+rows) and columns [c, c+cols) of m.
func block(m blas64.General, r, c, rows, cols int) blas64.General {
	out := matrix(rows, cols)
	for i := range rows {
		copy(out.Data[i*cols:(i+1)*cols], m.Data[(r+i)*m.Stride+c:])
	}
	return out
}

// put writes b into m from row r and column c on.
func put(m, b blas64.General, r, c int) {
	for i := range b.Rows {
		copy(m.Data[(r+i)*m.Stride+c:], b.Data[i*b.Stride:i*b.Stride+b.Cols])
	}
}

// first is the matrix of the first n rows of m.
func first(m blas64.General, n int) blas64.General {
	m.Rows = n
	return m
}

// invertFactor returns the inverse of the lower Cholesky factor of a symmetric positive
// definite matrix, lower triangular with zeros above. With W that inverse, the matrix's
// own inverse is WᵀW. It halves the matrix, so that nearly all work is products.
func invertFactor(a blas64.General, p Product) (blas64.General, error) {
	const small = 128
	n := a.Rows
	if n <= small {
		return invertSmall(a)
	}
	h := n / 2
	top, err := invertFactor(block(a, 0, 0, h, h), p)
	if err != nil {
		return top, err
	}
	left, schur := matrix(n-h, h), matrix(n-h, n-h) // L21 = A21·L11⁻ᵀ; A22 − L21·L21ᵀ
	if err := p(left, block(a, h, 0, n-h, h), top, true); err != nil {
		return top, err
	}
	if err := p(schur, left, left, true); err != nil {
		return top, err
	}
	for i := range n - h {
		for j := range n - h {
			schur.Data[i*schur.Stride+j] = a.Data[(h+i)*a.Stride+h+j] - schur.Data[i*schur.Stride+j]
		}
	}
	low, err := invertFactor(schur, p)
	if err != nil {
		return low, err
	}
	product, corner := matrix(n-h, h), matrix(n-h, h) // −L22⁻¹·L21·L11⁻¹
	if err := p(product, left, top, false); err != nil {
		return low, err
	}
	if err := p(corner, low, product, false); err != nil {
		return low, err
	}
	blas64.Scal(-1, blas64.Vector{N: len(corner.Data), Inc: 1, Data: corner.Data})
	out := matrix(n, n)
	put(out, top, 0, 0)
	put(out, corner, h, 0)
	put(out, low, h, h)
	return out, nil
}

func invertSmall(a blas64.General) (blas64.General, error) {
	n := a.Rows
	l, ok := lapack64.Potrf(blas64.Symmetric{N: n, Stride: a.Stride, Data: a.Data, Uplo: blas.Lower})
	if ok {
		ok = lapack64.Trtri(l)
	}
	if !ok {
		return a, errNotFinite
	}
	for i := range n {
		clear(a.Data[i*a.Stride+i+1 : i*a.Stride+n])
	}
	return a, nil
}

// scaled standardises features: column by column to mean 0 and deviation 1. A column
// that is the same in all rows becomes 0.
type scaled struct {
	rows       [][]float32
	mean, over []float64 // over: 1/deviation
}

func standardised(rows [][]float32) scaled {
	mean, variance := columns.Moments(rows)
	s := scaled{rows: rows, mean: mean, over: make([]float64, len(mean))}
	for j, v := range variance {
		if dev := math.Sqrt(v); dev > 1e-6*(1+math.Abs(mean[j])) {
			s.over[j] = 1 / dev
		}
	}
	return s
}

// into writes standardised rows [lo, hi), times by, to dst, and 1 behind each where dst
// has a column more.
func (s scaled) into(dst blas64.General, lo, hi int, by float64) {
	for i, r := range s.rows[lo:hi] {
		to := dst.Data[i*dst.Stride:]
		for j, v := range r {
			to[j] = (float64(v) - s.mean[j]) * s.over[j] * by
		}
		if dst.Cols > len(r) {
			to[len(r)] = 1
		}
	}
}
