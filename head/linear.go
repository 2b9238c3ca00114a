package head

// Linear multiplies by a matrix and adds a bias:
//
//	y = W·x + b
//
// Shapes: x [In, n] and y [Out, n], a column for each row of the batch; Weight
// [Out, In]; Bias [Out].
// Gradients: dW = dy·xᵀ, db = the row sums of dy, dx = Wᵀ·dy.
type Linear struct {
	In, Out      int
	Weight, Bias []float32
}

func newLinear(in, out int) Linear {
	return Linear{In: in, Out: out, Weight: make([]float32, in*out), Bias: make([]float32, out)}
}

// Products computes the three matrix products of a Linear, all row-major; shapes
// are Linear's. Slices are borrowed until the call returns.
type Products interface {
	// Forward computes y = w·x + b.
	Forward(y, w, x, b []float32, out, in, n int) error
	// Input computes dx = wᵀ·dy.
	Input(dx, w, dy []float32, out, in, n int) error
	// Weight computes dw = dy·xᵀ + beta*dw.
	Weight(dw, dy, x []float32, beta float32, out, in, n int) error
	// Name is what logs and benchmarks call this implementation.
	Name() string
}
