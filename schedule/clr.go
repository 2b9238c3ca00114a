package schedule

import "fmt"

// CLR is the one-cycle schedule: in each cycle of nb = Batches*CycleLen steps the
// rate climbs from 1/Div to 1 in cut = nb/CutDiv steps (at least 1) and falls back:
//
//	pct = it/cut up to cut, then 1-(it-cut)/(nb-cut);  f = (1 + pct*(Div-1))/Div
//
// Momentum goes the other way, from MomentumMax to MomentumMin and back, one step
// ahead of the rate. Source: Smith 2017; fast.ai 0.7 use_clr.
type CLR struct {
	Batches, CycleLen, Cycles int
	Div, CutDiv               float64
	MomentumMax, MomentumMin  float64 // both 0: DefaultMomentum throughout
}

// Check reports settings that make no schedule.
func (c CLR) Check() error {
	if c.Div < 1 || c.CutDiv < 1 {
		return fmt.Errorf("schedule: one-cycle division %v and cut %v; both are 1 or more", c.Div, c.CutDiv)
	}
	return nil
}

func (c CLR) length() int { return max(c.Batches*c.CycleLen, 1) }

// position returns step's place in its cycle and that of the cut.
func (c CLR) position(step int) (it, cut, nb float64) {
	nb = float64(c.length())
	return float64(step % c.length()), max(float64(int(nb/c.CutDiv)), 1), nb
}

// Steps implements Schedule.
func (c CLR) Steps() int { return c.length() * c.Cycles }

// Factor implements Schedule.
func (c CLR) Factor(step int) float64 {
	it, cut, nb := c.position(step)
	pct := it / cut
	if it > cut {
		pct = 1 - (it-cut)/(nb-cut)
	}
	return (1 + pct*(c.Div-1)) / c.Div
}

// Momentum implements Schedule.
func (c CLR) Momentum(step int) float64 {
	if c.MomentumMax == 0 && c.MomentumMin == 0 {
		return DefaultMomentum
	}
	it, cut, nb := c.position(step + 1)
	q := 1 - it/cut
	if it > cut {
		q = (it - cut) / (nb - cut)
	}
	return c.MomentumMin + q*(c.MomentumMax-c.MomentumMin)
}

// Cycle implements Schedule.
func (c CLR) Cycle(step int) (number, start, end int) { return even(step, c.length()) }

func even(step, length int) (number, start, end int) {
	number = step / length
	return number, number * length, (number + 1) * length
}

// CLRBeta is the one-cycle schedule with a tail: h = nb*(1-Tail/100)/2 steps up
// from 1/Div to 1, as many down, and the last steps from 1/Div to a hundredth of
// it. Momentum goes max, min, max and stays there, one step ahead of the rate.
// Source: fast.ai 0.7 use_clr_beta.
type CLRBeta struct {
	Batches, CycleLen, Cycles int
	Div                       float64
	Tail                      float64 // percent of the cycle
	MomentumMax, MomentumMin  float64 // both 0: DefaultMomentum throughout
}

// Check reports settings that make no schedule.
func (c CLRBeta) Check() error {
	if c.Div < 1 || !(c.Tail >= 0 && c.Tail < 100) {
		return fmt.Errorf("schedule: one-cycle division %v and tail %v %%; the first is 1 or more, the second at least 0 "+
			"and below 100", c.Div, c.Tail)
	}
	return nil
}

func (c CLRBeta) length() int { return max(c.Batches*c.CycleLen, 1) }

// position returns step's place in its cycle and the length of half the rise and fall.
func (c CLRBeta) position(step int) (it, half, nb float64) {
	nb = float64(c.length())
	return float64(step % c.length()), max(float64(int(nb*(1-c.Tail/100)/2)), 1), nb
}

// Steps implements Schedule.
func (c CLRBeta) Steps() int { return c.length() * c.Cycles }

// Factor implements Schedule.
func (c CLRBeta) Factor(step int) float64 {
	it, half, nb := c.position(step)
	if it > 2*half {
		return (1 - .99*(it-2*half)/(nb-2*half)) / c.Div
	}
	pct := it / half
	if it > half {
		pct = 2 - pct
	}
	return (1 + pct*(c.Div-1)) / c.Div
}

// Momentum implements Schedule.
func (c CLRBeta) Momentum(step int) float64 {
	if c.MomentumMax == 0 && c.MomentumMin == 0 {
		return DefaultMomentum
	}
	it, half, _ := c.position(step + 1)
	q := 1 - it/half
	switch {
	case it > 2*half:
		q = 1
	case it > half:
		q = it/half - 1
	}
	return c.MomentumMin + q*(c.MomentumMax-c.MomentumMin)
}

// Cycle implements Schedule.
func (c CLRBeta) Cycle(step int) (number, start, end int) { return even(step, c.length()) }
