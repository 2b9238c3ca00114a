// Package batchnorm folds batch normalisations into the linear maps beside them,
// where they cost nothing. All sums are float64.
package batchnorm

import "math"

// Epsilon is what a variance is raised by where nothing says otherwise: the
// default of ONNX and of PyTorch.
const Epsilon = 1e-5

// Norm is y = gamma*(x-mean)/sqrt(variance+epsilon) + beta, a number for each channel.
type Norm struct {
	Gamma, Beta, Mean, Variance []float32
	Epsilon                     float64
}

// Channels is the number of channels, -1 if the lists differ in length.
func (n Norm) Channels() int {
	c := len(n.Gamma)
	if len(n.Beta) != c || len(n.Mean) != c || len(n.Variance) != c {
		return -1
	}
	return c
}

// scale is what channel c is multiplied by.
func (n Norm) scale(c int) float64 {
	return float64(n.Gamma[c]) / math.Sqrt(float64(n.Variance[c])+n.Epsilon)
}

// IntoPrevious folds n into the map before it, weight [channels, …] and bias
// [channels], with s = gamma/sqrt(variance+epsilon):
//
//	gamma (Wx + b - mean)/sqrt(…) + beta = (sW)x + s(b - mean) + beta
func (n Norm) IntoPrevious(weight, bias []float32) (w, b []float32) {
	channels := n.Channels()
	w, b = make([]float32, len(weight)), make([]float32, channels)
	each := len(weight) / channels
	for c := range channels {
		s := n.scale(c)
		for i := c * each; i < (c+1)*each; i++ {
			w[i] = float32(float64(weight[i]) * s)
		}
		b[c] = float32((float64(bias[c])-float64(n.Mean[c]))*s + float64(n.Beta[c]))
	}
	return w, b
}

// IntoNext folds n into the linear map behind it, weight [out, channels] and
// bias [out], with s = gamma/sqrt(variance+epsilon):
//
//	W(s(x - mean) + beta) + b = (Ws)x + W(beta - s mean) + b
func (n Norm) IntoNext(weight, bias []float32) (w, b []float32) {
	channels := n.Channels()
	w, b = make([]float32, len(weight)), make([]float32, len(bias))
	for o := range bias {
		sum := float64(bias[o])
		for c := range channels {
			s, v := n.scale(c), float64(weight[o*channels+c])
			w[o*channels+c] = float32(v * s)
			sum += v * (float64(n.Beta[c]) - s*float64(n.Mean[c]))
		}
		b[o] = float32(sum)
	}
	return w, b
}
