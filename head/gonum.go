package head

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Gonum computes products in pure Go. It runs everywhere, and is the reference that the
// faster implementations are tested against.
type Gonum struct{}

// Name implements Products.
func (Gonum) Name() string { return "gonum" }

// Forward implements Products.
func (Gonum) Forward(y, w, x, b []float32, out, in, n int) error {
	for i, v := range b[:out] {
		fill(y[i*n:(i+1)*n], v)
	}
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, matrix(w, out, in), matrix(x, in, n), 1, matrix(y, out, n))
	return nil
}

// Input implements Products.
func (Gonum) Input(dx, w, dy []float32, out, in, n int) error {
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, matrix(w, out, in), matrix(dy, out, n), 0, matrix(dx, in, n))
	return nil
}

// Weight implements Products.
func (Gonum) Weight(dw, dy, x []float32, beta float32, out, in, n int) error {
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, matrix(dy, out, n), matrix(x, in, n), beta, matrix(dw, out, in))
	return nil
}

func matrix(data []float32, rows, cols int) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data[:rows*cols]}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
