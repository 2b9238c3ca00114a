package head

import (
	"math"

	"finetune/onnx/batchnorm"
)

// BatchNorm centres and scales each feature over the batch:
//
//	y = Gamma*(x-mean)/sqrt(variance+Eps) + Beta
//
// Shapes: x and y [features, batch]; Gamma, Beta, Mean, Var [features].
// Units:  Eps adds to a variance; Momentum is the weight of the newest batch, 0 to 1.
// Modes:  training divides the variance by n, the running Var takes n-1; evaluation uses Mean and Var.
// Errors: none here; Trainer.Step refuses a training batch of one row.
// Source: Ioffe and Szegedy 2015, algorithm 1; numbers follow PyTorch BatchNorm1d (TestVectors).
type BatchNorm struct {
	Gamma, Beta   []float32
	Mean, Var     []float32 // running statistics
	Eps, Momentum float32
}

func newBatchNorm(features int) BatchNorm {
	b := BatchNorm{Gamma: make([]float32, features), Beta: make([]float32, features),
		Mean: make([]float32, features), Var: make([]float32, features), Eps: batchnorm.Epsilon, Momentum: .1}
	fill(b.Gamma, 1)
	fill(b.Var, 1)
	return b
}

// statistics returns the mean and 1/sqrt(variance+Eps) of feature j over x, and
// moves the running statistics; where frozen it returns those.
func (b *BatchNorm) statistics(j int, x []float32, frozen bool) (mean, invStd float32) {
	if frozen {
		return b.Mean[j], float32(1 / math.Sqrt(float64(b.Var[j])+float64(b.Eps)))
	}
	n, sum, squares := float64(len(x)), 0.0, 0.0
	for _, v := range x {
		sum += float64(v)
	}
	m := sum / n
	for _, v := range x {
		squares += (float64(v) - m) * (float64(v) - m)
	}
	b.Mean[j] = (1-b.Momentum)*b.Mean[j] + b.Momentum*float32(m)
	b.Var[j] = (1-b.Momentum)*b.Var[j] + b.Momentum*float32(squares/(n-1))
	return float32(m), float32(1 / math.Sqrt(squares/n+float64(b.Eps)))
}

// forward writes the normalised x of feature j to y.
func (b *BatchNorm) forward(y []float32, j int, x []float32, mean, invStd float32) {
	for i, v := range x {
		y[i] = b.Gamma[j]*((v-mean)*invStd) + b.Beta[j]
	}
}

// backward takes the gradient dy at y and returns the gradients of gamma and
// beta; where dx is not nil it also writes the gradient at x:
//
//	dx = gamma*invStd * (dy - mean(dy) - xhat*mean(dy*xhat)), xhat = (x-mean)*invStd
//
// without the two means where frozen, as the statistics are constants then.
func (b *BatchNorm) backward(dx []float32, j int, dy, x []float32, mean, invStd float32,
	frozen bool) (dGamma, dBeta float32) {
	for i, g := range dy {
		dBeta += g
		dGamma += g * ((x[i] - mean) * invStd)
	}
	if dx == nil {
		return dGamma, dBeta
	}
	meanDY, meanDYX := dBeta/float32(len(x)), dGamma/float32(len(x))
	if frozen {
		meanDY, meanDYX = 0, 0
	}
	for i, g := range dy {
		dx[i] = b.Gamma[j] * invStd * (g - meanDY - (x[i]-mean)*invStd*meanDYX)
	}
	return dGamma, dBeta
}
