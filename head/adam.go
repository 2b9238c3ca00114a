package head

import "math"

// adam divides the averaged gradient by the root of its averaged square:
//
//	m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g²
//	p -= LR * (m/(1-b1^k)) / (sqrt(v/(1-b2^k)) + eps)
//
// with b1 = Rates.Momentum, b2 = .999, eps = 1e-8 and k the step from 1. Decay
// adds Decay*p to g (adam) or takes LR*Decay*p off p first (adamw).
// Source: Kingma and Ba 2015; Loshchilov and Hutter 2019; numbers follow PyTorch.
type adam struct {
	parameters               []Tensor
	clip                     float64
	decoupled                bool
	gradients, first, second [][]float32
}

func (a *adam) begin(Rates, bool) plan { return plan{into: a.gradients} }

func (a *adam) state() []namedBuffers {
	return []namedBuffers{{"adam_first", a.first}, {"adam_second", a.second}}
}

func (a *adam) step(r Rates, k int) {
	const b2, eps = .999, 1e-8
	if a.clip > 0 {
		limit(a.gradients, a.clip)
	}
	rate := float32(r.LR / (1 - math.Pow(r.Momentum, float64(k))))
	root := float32(1 / math.Sqrt(1-math.Pow(b2, float64(k))))
	keep, decay := float32(1), float32(r.Decay)
	if a.decoupled {
		keep, decay = float32(1-r.LR*r.Decay), 0
	}
	b1 := float32(r.Momentum)
	for i, p := range a.parameters {
		m, v := a.first[i], a.second[i]
		for j, g := range a.gradients[i] {
			g += decay * p.Data[j]
			m[j] = b1*m[j] + (1-b1)*g
			v[j] = b2*v[j] + (1-b2)*g*g
			p.Data[j] = keep*p.Data[j] - rate*m[j]/(float32(math.Sqrt(float64(v[j])))*root+eps)
		}
	}
}
