package schedule

import "math"

// Constant keeps the base rate for Epochs epochs.
type Constant struct{ Batches, Epochs int }

// Steps implements Schedule.
func (c Constant) Steps() int { return c.Batches * c.Epochs }

// Factor implements Schedule: always 1.
func (c Constant) Factor(int) float64 { return 1 }

// Momentum implements Schedule.
func (c Constant) Momentum(int) float64 { return DefaultMomentum }

// Cycle implements Schedule: the whole fit is one cycle.
func (c Constant) Cycle(int) (number, start, end int) { return 0, 0, c.Steps() }

// SGDR lowers the rate along half a cosine in each cycle and restarts at the base rate:
//
//	f(i) = (1 + cos(pi*(i-s)/nb)) / 2,  s the start and nb the length of step i's cycle
//
// nb is Batches*CycleLen at first and Mult times more each cycle. The first
// ceil(nb/20) steps of the fit, once, have f = 1/100 instead, unless nb is 1.
// Source: Loshchilov and Hutter 2017; fast.ai 0.7 CosAnneal. A first cycle of one
// step has f = 1, where fast.ai's never ended.
type SGDR struct {
	Batches  int // batches an epoch
	CycleLen int // epochs of the first cycle
	Mult     int // each cycle is this many times the one before; 0 means 1
	Cycles   int
}

// Steps implements Schedule.
func (s SGDR) Steps() int { return s.Batches * Epochs(s.CycleLen, s.Mult, s.Cycles) }

// Factor implements Schedule.
func (s SGDR) Factor(step int) float64 {
	first := s.Batches * s.CycleLen
	if first > 1 && 20*step < first {
		return .01
	}
	_, start, end := s.Cycle(step)
	return (1 + math.Cos(math.Pi*float64(step-start)/float64(end-start))) / 2
}

// Momentum implements Schedule.
func (s SGDR) Momentum(int) float64 { return DefaultMomentum }

// Cycle implements Schedule; it is defined past the last cycle too.
func (s SGDR) Cycle(step int) (number, start, end int) {
	length := max(s.Batches*s.CycleLen, 1)
	for end = length; step >= end; number++ {
		length *= max(s.Mult, 1)
		start, end = end, end+length
	}
	return number, start, end
}

// Epochs is the number of epochs of n cycles, the first of cycleLen epochs (0
// means 1) and each mult times the one before (0 means 1).
func Epochs(cycleLen, mult, n int) int {
	total, length := 0, max(cycleLen, 1)
	for range n {
		total += length
		length *= max(mult, 1)
	}
	return total
}

// CycleEnd reports whether step is the last of its cycle: after that batch a
// snapshot of the cycle is due. fast.ai took it one batch earlier.
func CycleEnd(s Schedule, step int) bool {
	_, _, end := s.Cycle(step)
	return step == end-1
}
