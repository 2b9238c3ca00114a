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
}

func (s *sgd) state() []namedBuffers { return []namedBuffers{{"momentum", s.velocity}} }

func (s *sgd) begin(r Rates) ([][]float32, float32) {
	if s.clip > 0 {
		if s.gradients == nil {
			s.gradients = likeEach(s.parameters)
		}
		return s.gradients, 0
	}
	if r.Decay == 0 || s.decoupled {
		return s.velocity, float32(r.Momentum)
	}
	for i, p := range s.parameters {
		blend(s.velocity[i], float32(r.Momentum), p.Data, float32(r.Decay))
	}
	return s.velocity, 1
}

func (s *sgd) step(r Rates, _ int) {
	keep, decay := float32(1), float32(r.Decay)
	if s.decoupled {
		keep, decay = float32(1-r.LR*r.Decay), 0
	}
	if s.clip > 0 {
		limit(s.gradients, s.clip)
		for i, p := range s.parameters {
			blend(s.velocity[i], float32(r.Momentum), s.gradients[i], 1)
			if decay != 0 {
				blend(s.velocity[i], 1, p.Data, decay)
			}
		}
	}
	for i, p := range s.parameters {
		blend(p.Data, keep, s.velocity[i], float32(-r.LR))
	}
}
