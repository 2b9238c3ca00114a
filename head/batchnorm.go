package head

import "math"

// BatchNorm centres and scales each feature over the batch:
//
//	y = Gamma*(x-mean)/sqrt(variance+Eps) + Beta
//
// Shapes: x and y [batch, features]; Gamma, Beta, Mean, Var [features].
// Units:  Eps adds to a variance; Momentum is the weight of the newest batch, 0 to 1.
// Modes:  training divides the variance by n, the running Var takes n-1; evaluation uses Mean and Var.
// Errors: none here; Trainer.Step refuses a training batch of one row.
// Source: Ioffe and Szegedy 2015, algorithm 1; numbers follow PyTorch BatchNorm1d (TestVectors).
type BatchNorm struct {
	Gamma, Beta   []float32
	Mean, Var     []float32 // running statistics
	Eps, Momentum float64
}

func newBatchNorm(features int) BatchNorm {
	b := BatchNorm{Gamma: make([]float32, features), Beta: make([]float32, features),
		Mean: make([]float32, features), Var: make([]float32, features), Eps: 1e-5, Momentum: .1}
	for i := range b.Gamma {
		b.Gamma[i], b.Var[i] = 1, 1
	}
	return b
}

// evaluate normalises x in place with the running statistics.
func (b *BatchNorm) evaluate(x []float32) {
	f := len(b.Gamma)
	scale, shift := make([]float32, f), make([]float32, f)
	for j := range scale {
		s := float64(b.Gamma[j]) / math.Sqrt(float64(b.Var[j])+b.Eps)
		scale[j], shift[j] = float32(s), float32(float64(b.Beta[j])-s*float64(b.Mean[j]))
	}
	for i := 0; i < len(x); i += f {
		row := x[i : i+f]
		for j, v := range row {
			row[j] = v*scale[j] + shift[j]
		}
	}
}
