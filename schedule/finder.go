package schedule

import "math"

// Finder is the learning-rate test: the rate grows from Start towards End in Tries
// steps, over as many epochs as that takes. With layer groups, Start is the last
// group's and the others keep their proportion to it.
//
//	exponential: f(i) = (End/Start)^(i/Tries);  linear: f(i) = End/Start * i/Tries
//
// The factor multiplies Start. Tries equal to the batches of an epoch is fast.ai's
// lr_find, Tries of its own its lr_find2. Source: Smith 2017; fast.ai 0.7.
type Finder struct {
	Start, End float64
	Tries      int
	Linear     bool // starts at rate 0
}

// Steps implements Schedule.
func (f Finder) Steps() int { return f.Tries }

// Factor implements Schedule.
func (f Finder) Factor(step int) float64 {
	part := float64(step) / float64(f.Tries)
	if f.Linear {
		return f.End / f.Start * part
	}
	return math.Pow(f.End/f.Start, part)
}

// Momentum implements Schedule.
func (f Finder) Momentum(int) float64 { return DefaultMomentum }

// Cycle implements Schedule: the test is one cycle.
func (f Finder) Cycle(int) (number, start, end int) { return 0, 0, f.Tries }

// Stop decides when a learning-rate test has seen enough: at the first smoothed
// loss that is not finite or is above 4 times the best. A loss counts as the best
// only after step 10, so that nothing but NaN stops a test before step 12. Make
// one with NewStop. Source: fast.ai 0.7 LR_Finder.
type Stop struct{ best float64 }

// NewStop returns a rule that has seen no loss.
func NewStop() *Stop { return &Stop{1e9} }

// At takes the smoothed loss of step, from 0, and reports whether to stop; the
// stopping step is not part of the curve.
func (s *Stop) At(step int, smoothed float64) bool {
	if math.IsNaN(smoothed) || smoothed > 4*s.best {
		return true
	}
	if step > 10 {
		s.best = min(s.best, smoothed)
	}
	return false
}

// Shown is the part [lo, hi) of a test's n points that is worth a plot: fast.ai's
// [10:-6], with skips that shrink in proportion below 32 points.
func Shown(n int) (lo, hi int) {
	if n >= 32 {
		return 10, n - 6
	}
	return 10 * n / 32, n - 6*n/32
}

// SuggestRule says how Suggest chooses.
const SuggestRule = "a tenth of the rate with the least smoothed loss"

// Suggest returns the learning rate that a test's curve of smoothed losses speaks
// for, by SuggestRule: at the minimum itself the loss is about to rise, a tenth of
// it still falls fast. Points of Shown count, in order of rates; NaN does not. The
// result lies within the tested rates; 0 where there is no point.
func Suggest(rates, losses []float64) float64 {
	lo, hi := Shown(min(len(rates), len(losses)))
	best := -1
	for i := lo; i < hi; i++ {
		if !math.IsNaN(losses[i]) && (best < 0 || losses[i] < losses[best]) {
			best = i
		}
	}
	if best < 0 {
		return 0
	}
	return max(rates[best]/10, rates[lo])
}
