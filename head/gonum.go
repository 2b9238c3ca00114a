package head

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Gonum computes products in pure Go: available everywhere, and the oracle of
// the faster implementations.
type Gonum struct{}

// Name implements Products.
func (Gonum) Name() string { return "gonum" }

// Forward implements Products.
func (Gonum) Forward(y, x, w, b []float32, n, in, out int) error {
	for i := 0; i < n; i++ {
		copy(y[i*out:(i+1)*out], b)
	}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, matrix(x, n, in), matrix(w, out, in), 1, matrix(y, n, out))
	return nil
}

// Input implements Products.
func (Gonum) Input(dx, dy, w []float32, n, in, out int) error {
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, matrix(dy, n, out), matrix(w, out, in), 0, matrix(dx, n, in))
	return nil
}

// Weight implements Products.
func (Gonum) Weight(dw, dy, x []float32, beta float32, n, in, out int) error {
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, matrix(dy, n, out), matrix(x, n, in), beta, matrix(dw, out, in))
	return nil
}

func matrix(data []float32, rows, cols int) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data[:rows*cols]}
}
