package config

import "cmp"

// DefaultConfig is what is trained where nothing else is said: the lesson's head in
// three cycles of an epoch. The flags of the command line start from it.
func DefaultConfig() Config {
	return Config{
		Data:    DataConfig{MaxBad: 0.1},
		Body:    BodyConfig{Precision: Float32},
		Images:  Images{Augment: "none", MaxZoom: 1.1, Views: 8},
		Machine: Machine{Device: "auto"},
		Train: Training{
			BatchSize: 64, LR: 0.01, Cycles: 3, CycleLen: 1, CycleMult: 1,
			Optimiser: SGD, Momentum: 0.9, Balance: NoBalance, BNMomentum: 0.1, Hidden: Widths{512},
			Dropout: Shares{0.25, 0.5},
		},
	}
}

// DefaultRecipe is the recipe where nothing else is said.
func DefaultRecipe() Recipe {
	d := DefaultConfig()
	return Recipe{Augment: "side-on", Views: d.Images.Views, TTA: 4, Batch: d.Train.BatchSize, Epochs: 8}
}

// Completed is t with the schedule chosen, where it has none, by whether Epochs is
// given, and with the shape of clr that the lesson uses.
func (t Training) Completed() Training {
	switch {
	case t.Schedule != "":
	case t.Epochs > 0:
		t.Schedule = Constant
	default:
		t.Schedule = SGDR
	}
	if t.Head == HeadMLP {
		t.Head = "" // as earlier versions wrote it
	}
	if t.Unfreeze && t.Head == HeadLinear {
		t.Hidden, t.Dropout = nil, Shares{0}
	}
	if t.CLR == (OneCycle{}) && (t.Schedule == CLR || t.Schedule == CLRBeta) {
		t.CLR = OneCycle{Div: 20, Cut: 10}
	}
	return t
}

// HeadKind is the kind of head to train.
func (t Training) HeadKind() string { return cmp.Or(t.Head, HeadMLP) }

// mostEpochs keeps a course that doubles itself within what can be counted.
const mostEpochs = 1_000_000

// epochs are those of all cycles, or mostEpochs and more.
func (t Training) epochs() float64 {
	n, length := 0.0, float64(t.CycleLen)
	for range t.Cycles {
		if n += length; n > mostEpochs {
			break
		}
		length *= float64(t.CycleMult)
	}
	return n
}
