// Package schedule says which learning rate, momentum and weight decay each step
// of a fit uses, as pure functions of the step.
//
// Nothing is remembered between steps, so a schedule is easy to plot, test and
// resume. Steps count from 0; Batches is the number of batches an epoch. The
// numbers follow fast.ai 0.7 but where a comment says otherwise.
package schedule

// Schedule is the course of one fit.
type Schedule interface {
	// Steps is the length of the fit in batches.
	Steps() int
	// Factor multiplies the base rate of every layer group at step.
	Factor(step int) float64
	// Momentum is SGD's momentum at step.
	Momentum(step int) float64
	// Cycle is the number of the cycle that step belongs to, from 0, and its bounds [start, end).
	Cycle(step int) (number, start, end int)
}

// DefaultMomentum is SGD's momentum where a schedule does not move it.
const DefaultMomentum = .9
