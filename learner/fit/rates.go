package fit

import (
	"fmt"
	"math"
	"slices"

	"finetune/learner/config"
	"finetune/learner/runs"
	"finetune/schedule"
)

// NewSchedule is the course that the configuration names, for epochs of batches steps.
func NewSchedule(c runs.Training, batches int) (schedule.Schedule, error) {
	switch c.Schedule {
	case config.Constant:
		return schedule.Constant{Batches: batches, Epochs: c.Epochs}, nil
	case config.WarmUp:
		return schedule.WarmUp{Batches: batches}, nil
	case config.SGDR:
		return schedule.SGDR{Batches: batches, CycleLen: c.CycleLen, Mult: c.CycleMult, Cycles: c.Cycles}, nil
	case config.CLR:
		s := schedule.CLR{Batches: batches, CycleLen: c.CycleLen, Cycles: c.Cycles, Div: c.CLR.Div, CutDiv: c.CLR.Cut,
			MomentumMax: c.CLR.MomentumMax, MomentumMin: c.CLR.MomentumMin}
		return s, s.Check()
	case config.CLRBeta:
		s := schedule.CLRBeta{Batches: batches, CycleLen: c.CycleLen, Cycles: c.Cycles, Div: c.CLR.Div, Tail: c.CLR.Cut,
			MomentumMax: c.CLR.MomentumMax, MomentumMin: c.CLR.MomentumMin}
		return s, s.Check()
	}
	return nil, fmt.Errorf("learner: no schedule %q", c.Schedule)
}

// ratesAt is what a step of a fit uses: every group's rate times the schedule's
// factor, the schedule's momentum where it moves one, and the decay.
func ratesAt(c runs.Training, s schedule.Schedule, groups, step int) Rates {
	base := c.LRs
	if len(base) == 0 {
		base = slices.Repeat([]float64{c.LR}, groups)
	}
	r := Rates{LR: make([]float64, groups), Momentum: c.Momentum, Decay: c.WeightDecay}
	for i := range r.LR {
		r.LR[i] = base[len(base)-groups+i] * s.Factor(step)
	}
	if c.MovesMomentum() {
		r.Momentum = s.Momentum(step)
	}
	if c.NormDecay {
		r.Decay = schedule.DecayAt(s, c.WeightDecay, step)
	}
	return r
}

// WithGroupRates is c with a rate for each of all layer groups of the whole network, the head last, of which last are
// the names of those that train.
func WithGroupRates(c runs.Training, all int, last []string) runs.Training {
	switch n := len(c.LRs); {
	case c.LayerDecay > 0:
		c.LRs = decayedRates(c.LR, c.LayerDecay, all, last)
	case n == 0:
		c.LRs = groupRates(c.LR, all)
	case n == 1:
		c.LRs = slices.Repeat(c.LRs, all)
	case n < all && all > mostNamedGroups:
		c.LRs = spreadRates(c.LRs, all)
	}
	return c
}

// mostNamedGroups is how many groups a network has that is not divided by its blocks, the head counted.
const mostNamedGroups = 3

// decayedRates are the head's rate times decay for each group that lies between; norms behind the last block learn as
// the head does. Source: param_groups_layer_decay of timm, after BEiT.
func decayedRates(rate, decay float64, groups int, last []string) []float64 {
	rates := slices.Repeat([]float64{rate}, groups)
	power := 0
	for k := range groups - 1 {
		i, name := groups-2-k, ""
		if at := len(last) - 2 - k; at >= 0 {
			name = last[at]
		}
		if name != "norm" {
			power++
		}
		rates[i] = rate * math.Pow(decay, float64(power))
	}
	return rates
}

// spreadRates gives the head the last of rates and equal runs of the body's groups the others.
func spreadRates(rates []float64, groups int) []float64 {
	list := make([]float64, groups)
	for k := range groups - 1 {
		list[k] = rates[k*(len(rates)-1)/(groups-1)]
	}
	list[groups-1] = rates[len(rates)-1]
	return list
}

// groupRates are the lesson's: rate for the head, which is the last group, and
// from a hundredth of it to a tenth for the body's groups, in equal ratios.
func groupRates(rate float64, groups int) []float64 {
	rates, last := make([]float64, groups), groups-2
	for k := range last + 1 {
		power := 1.0
		if last > 0 {
			power = 2 - float64(k)/float64(last)
		}
		rates[k] = rate / math.Pow(10, power)
	}
	rates[groups-1] = rate
	return rates
}
