package head

import (
	"fmt"
	"math"
)

// optimizer changes the parameters by their gradients.
type optimizer interface {
	// begin says what backward does with the gradients. fuse allows it to let
	// backward update the Linear weights.
	begin(r Rates, fuse bool) plan
	// step applies step number k, counted from 1.
	step(r Rates, k int)
	// state is what must be kept beside the parameters: per name one buffer a parameter.
	state() []namedBuffers
}

// plan: gradients are added to momentum times what into holds, one buffer for
// each of Head.parameters, so that SGD's momentum costs no pass of its own. Where
// rate is not 0, backward also replaces Linear weights w by shrink*w - rate*into.
type plan struct {
	into                   [][]float32
	momentum, rate, shrink float32
}

type namedBuffers struct {
	name    string
	buffers [][]float32
}

func newOptimizer(o Options, p []Tensor) (optimizer, error) {
	switch o.Optimizer {
	case "", "sgd":
		return &sgd{parameters: p, clip: o.Clip, decoupled: o.Decoupled, velocity: likeEach(p)}, nil
	case "adam", "adamw":
		return &adam{parameters: p, clip: o.Clip, decoupled: o.Decoupled || o.Optimizer == "adamw",
			gradients: likeEach(p), first: likeEach(p), second: likeEach(p)}, nil
	}
	return nil, fmt.Errorf("head: optimizer %q; choose sgd, adam or adamw", o.Optimizer)
}

func likeEach(p []Tensor) [][]float32 {
	out := make([][]float32, len(p))
	for i := range p {
		out[i] = make([]float32, len(p[i].Data))
	}
	return out
}

// limit scales gradients to a global L2 norm of at most clip:
// g *= clip/(norm+1e-6) where norm > clip. Source: PyTorch clip_grad_norm_.
func limit(gradients [][]float32, clip float64) {
	sum := 0.0
	for _, g := range gradients {
		for _, v := range g {
			sum += float64(v) * float64(v)
		}
	}
	norm := math.Sqrt(sum)
	if norm <= clip {
		return
	}
	s := float32(clip / (norm + 1e-6))
	for _, g := range gradients {
		for i := range g {
			g[i] *= s
		}
	}
}
