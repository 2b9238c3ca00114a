package logistic

import (
	"math"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/floats"
)

// part sums loss and gradient of the rows [lo, hi).
type part struct {
	p      *problem
	lo, hi int
	loss   float64
	grad   []float64   // [outputs, features] of raw features, then [outputs]
	block  [][]float32 // of each output, the sum of a few rows, added to grad before it grows
	logit  []float64
}

// blockRows are summed in float32 before their sum is added in float64.
const blockRows = 32

func newPart(p *problem, lo, hi int) *part {
	t := &part{p: p, lo: lo, hi: hi, grad: make([]float64, p.outputs*(p.features+1)), logit: make([]float64, p.outputs)}
	for range p.outputs {
		t.block = append(t.block, make([]float32, p.features))
	}
	return t
}

// sum is loss and gradient with weights w [outputs, features] and biases of raw features.
func (t *part) sum(w []float32, bias []float64) {
	p := t.p
	t.loss = 0
	clear(t.grad)
	for i := t.lo; i < t.hi; i++ {
		x := blas32.Vector{N: p.features, Data: p.Rows[i], Inc: 1}
		for k := range t.logit {
			t.logit[k] = bias[k] + blas32.DDot(x, blas32.Vector{N: p.features, Data: w[k*p.features:], Inc: 1})
		}
		t.loss += p.residuals(i, t.logit)
		for k, r := range t.logit {
			t.grad[p.outputs*p.features+k] += r
			blas32.Axpy(float32(r), x, blas32.Vector{N: p.features, Data: t.block[k], Inc: 1})
		}
		if (i-t.lo)%blockRows == blockRows-1 || i == t.hi-1 {
			t.flush()
		}
	}
}

// flush adds the blocks to grad.
func (t *part) flush() {
	for k, b := range t.block {
		grad := t.grad[k*t.p.features:]
		for j, v := range b {
			grad[j] += float64(v)
		}
		clear(b)
	}
}

// residuals turns the logits of row i into the derivatives of its loss, and returns the loss.
func (p *problem) residuals(i int, z []float64) (loss float64) {
	switch {
	case p.Multi:
		for k := range z {
			y := float64(p.Targets[i*p.Classes+k])
			loss += softplus(z[k]) - y*z[k]
			z[k] = sigmoid(z[k]) - y
		}
		return loss
	case p.outputs == 1:
		y := float64(p.Labels[i])
		loss, z[0] = softplus(z[0])-y*z[0], sigmoid(z[0])-y
	default:
		total := floats.LogSumExp(z)
		loss = total - z[p.Labels[i]]
		for k := range z {
			z[k] = math.Exp(z[k] - total)
		}
		z[p.Labels[i]]--
	}
	if p.Weights != nil {
		weight := p.Weights[p.Labels[i]]
		loss *= weight
		for k := range z {
			z[k] *= weight
		}
	}
	return loss
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// softplus is log(1 + exp(z)) without overflow.
func softplus(z float64) float64 { return max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) }
