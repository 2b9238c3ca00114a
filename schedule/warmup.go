package schedule

import "math"

// WarmUp is one epoch whose rate grows from 0 in a line: f(i) = i/Batches.
// Source: fast.ai 0.7 warm_up.
type WarmUp struct{ Batches int }

// Steps implements Schedule.
func (w WarmUp) Steps() int { return w.Batches }

// Factor implements Schedule.
func (w WarmUp) Factor(step int) float64 { return float64(step) / float64(w.Batches) }

// Momentum implements Schedule.
func (w WarmUp) Momentum(int) float64 { return DefaultMomentum }

// Cycle implements Schedule: the whole fit is one cycle.
func (w WarmUp) Cycle(int) (number, start, end int) { return 0, 0, w.Batches }

// NormDecay is the weight decay of a cycle of epochs, each of batches:
// decay/sqrt(batches*epochs), the same in all over cycles of any length. It is
// meant for decoupled decay. Source: fast.ai 0.7 norm_wds.
func NormDecay(decay float64, batches, epochs int) float64 {
	return decay / math.Sqrt(float64(batches*epochs))
}

// DecayAt is NormDecay for the cycle that step belongs to.
func DecayAt(s Schedule, decay float64, step int) float64 {
	_, start, end := s.Cycle(step)
	return NormDecay(decay, 1, end-start)
}
