package fit

import (
	"fmt"
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
