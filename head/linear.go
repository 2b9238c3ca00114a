package head

// Linear multiplies by a matrix and adds a bias:
//
//	y = x·Wᵀ + b
//
// Shapes: x [batch, In]; y [batch, Out]; Weight [Out, In]; Bias [Out].
// Gradients: dW = dyᵀ·x, db = the column sums of dy, dx = dy·W.
type Linear struct {
	In, Out      int
	Weight, Bias []float32
}

func newLinear(in, out int) Linear {
	return Linear{In: in, Out: out, Weight: make([]float32, in*out), Bias: make([]float32, out)}
}

// Products computes the three matrix products of a Linear. n is the number of
// rows; shapes are Linear's. Slices are borrowed until the call returns.
type Products interface {
	// Forward computes y = x·wᵀ + b.
	Forward(y, x, w, b []float32, n, in, out int) error
	// Input computes dx = dy·w.
	Input(dx, dy, w []float32, n, in, out int) error
	// Weight computes dw = dyᵀ·x + beta*dw.
	Weight(dw, dy, x []float32, beta float32, n, in, out int) error
	// Name is what logs and benchmarks call this implementation.
	Name() string
}
