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
const SuggestRule = "geometric mean of the steepest point and a tenth of the minimum"

// Suggest returns the learning rate that a test's curve of smoothed losses speaks
// for, by SuggestRule. At the steepest point the loss falls fastest, though with
// smoothing that is early; a tenth of the rate of least loss is the most that is
// safe, though a test that overfits puts that late. Slopes are taken against
// log(rate) by least squares over a tenth of the points. Points of Shown count, in
// order of rates, those with NaN or rate 0 do not; 0 where there are not three.
// The suggestion is never below the first rate: a curve that only rises says
// nothing of those before it.
func Suggest(rates, losses []float64) float64 {
	lo, hi := Shown(min(len(rates), len(losses)))
	var x, y []float64
	lowest := 0
	for i := lo; i < hi; i++ {
		if rates[i] > 0 && !math.IsNaN(losses[i]) {
			x, y = append(x, math.Log(rates[i])), append(y, losses[i])
			if losses[i] < y[lowest] {
				lowest = len(y) - 1
			}
		}
	}
	if len(x) < 3 {
		return 0
	}
	steepest, least, half := 0, math.Inf(1), max(len(x)/20, 1)
	for i := half; i < len(x)-half && i <= max(lowest, half); i++ {
		if s := slope(x[i-half:i+half+1], y[i-half:i+half+1]); s < least {
			steepest, least = i, s
		}
	}
	first := x[0]
	if rates[0] > 0 {
		first = math.Log(rates[0])
	}
	return math.Exp(max((x[steepest]+x[lowest]-math.Ln10)/2, first))
}

// slope is the least-squares slope of y against x.
func slope(x, y []float64) float64 {
	mx, my, xy, xx := 0.0, 0.0, 0.0, 0.0
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(x))
	}
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
	}
	return xy / xx
}
