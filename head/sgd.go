package head

// sgd is stochastic gradient descent with momentum, per parameter p of gradient g:
//
//	d = g + Decay*p;  v = Momentum*v + d;  p -= LR*v
//
// or, decoupled, d = g and p -= LR*Decay*p before the step. v starts at 0; no
// dampening, no Nesterov. Decay reaches every parameter, biases and BatchNorm's
// too. Source: PyTorch SGD; fast.ai 0.7 wds and use_wd_sched.
type sgd struct {
	parameters []Tensor
	clip       float64
	decoupled  bool
	velocity   [][]float32
	gradients  [][]float32 // apart from velocity only where clip needs them bare
	fused      bool        // backward updates the Linear weights in this step
}

func (s *sgd) state() []namedBuffers { return []namedBuffers{{"momentum", s.velocity}} }

func (s *sgd) begin(r Rates, fuse bool) plan {
	s.fused = false
	if s.clip > 0 {
		if s.gradients == nil {
			s.gradients = likeEach(s.parameters)
		}
		return plan{into: s.gradients}
	}
	p := plan{into: s.velocity, momentum: float32(r.Momentum)}
	if r.Decay != 0 && !s.decoupled {
		for i, q := range s.parameters {
			blend(s.velocity[i], p.momentum, q.Data, float32(r.Decay))
		}
		p.momentum = 1
	}
	if fuse && r.LR != 0 {
		s.fused, p.rate, p.shrink = true, float32(r.LR), s.shrink(r)
	}
	return p
}

// shrink is what decoupled weight decay multiplies parameters by.
func (s *sgd) shrink(r Rates) float32 {
	if s.decoupled {
		return float32(1 - r.LR*r.Decay)
	}
	return 1
}

func (s *sgd) step(r Rates, _ int) {
	if s.clip > 0 {
		limit(s.gradients, s.clip)
		for i, p := range s.parameters {
			blend(s.velocity[i], float32(r.Momentum), s.gradients[i], 1)
			if r.Decay != 0 && !s.decoupled {
				blend(s.velocity[i], 1, p.Data, float32(r.Decay))
			}
		}
	}
	for i, p := range s.parameters {
		if !s.fused || i%4 != 2 { // backward has updated the Linear weights
			blend(p.Data, s.shrink(r), s.velocity[i], float32(-r.LR))
		}
	}
}
