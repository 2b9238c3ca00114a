package runs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"finetune/internal/failure"
)

// Defaults is what is trained where nothing else is said: the lesson's head in three
// cycles of an epoch. The flags of the command line start from it.
func Defaults() Config {
	return Config{
		Data:    DataConfig{MaxBad: 0.1},
		Body:    BodyConfig{Precision: Float32},
		Images:  Images{Resample: "nfnt", Crop: "random", Augment: "none", MaxZoom: 1.1, Views: 8},
		Machine: Machine{Device: "auto"},
		Train: Training{
			BatchSize: 64, LR: 0.01, Schedule: "sgdr", Cycles: 3, CycleLen: 1, CycleMult: 1,
			Optimiser: "sgd", Momentum: 0.9, Balance: "none", BNMomentum: 0.1, Hidden: "512", Dropout: "0.25,0.5",
		},
	}
}

// Completed is t with the schedule chosen, where it has none, by whether Epochs is
// given, and with the shape of clr that the lesson uses.
func (t Training) Completed() Training {
	switch {
	case t.Schedule != "":
	case t.Epochs > 0:
		t.Schedule = "constant"
	default:
		t.Schedule = "sgdr"
	}
	if t.Head == HeadMLP {
		t.Head = "" // as earlier versions wrote it
	}
	if len(t.CLR) == 0 && strings.HasPrefix(t.Schedule, "clr") {
		t.CLR = []float64{20, 10}
	}
	return t
}

// Kinds of head.
const (
	HeadMLP    = "mlp"    // the lesson's: hidden layers, trained with SGDR
	HeadLinear = "linear" // logistic regression, trained until it converges
	HeadAuto   = "auto"   // whichever predicts training photographs better that it has not seen
)

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

// Check refuses what no network can be trained by. Errors name the flags.
func (t Training) Check() error {
	other := t.HeadKind() != HeadMLP
	cycles, clr := t.Schedule != "constant", strings.HasPrefix(t.Schedule, "clr")
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{!(t.LR > 0), fmt.Sprintf("--lr %g: must be above 0", t.LR)},
		{t.BatchSize < 2, fmt.Sprintf("--batch-size %d: must be 2 or more", t.BatchSize)},
		{!cycles && t.Epochs < 1, "--schedule constant needs --epochs N, 1 or more"},
		{t.Schedule == "sgdr" && t.epochs() > mostEpochs, fmt.Sprintf("--cycles %d, --cycle-len %d and --cycle-mult %d "+
			"make more than %.0e epochs", t.Cycles, t.CycleLen, t.CycleMult, float64(mostEpochs))},
		{cycles && (t.Epochs != 0 || t.Cycles < 1 || t.CycleLen < 1 || t.CycleMult < 1),
			"--cycles, --cycle-len and --cycle-mult must be 1 or more, and --epochs needs --schedule constant"},
		{clr && (t.CycleMult != 1 || len(t.CLR) != 2 && len(t.CLR) != 4),
			fmt.Sprintf("--schedule %s takes --clr with two or four numbers, and no --cycle-mult", t.Schedule)},
		{!slices.Contains([]string{HeadMLP, HeadLinear, HeadAuto}, t.HeadKind()), fmt.Sprintf("--head %s: use mlp, linear "+
			"or auto", t.Head)},
		{other && (t.Unfreeze || t.Load != "" || t.SWA > 0 || t.Snapshots || t.Smoothing > 0 || t.Balance == "sampling"),
			fmt.Sprintf("--head %s cannot be combined with --unfreeze, --load, --swa, --snapshots, --label-smoothing or "+
				"--balance sampling", t.Head)},
		{t.FreezeTo < 0 || t.MicroBatch < 0 || t.MicroBatch == 1, "--freeze-to must be 0 or more, --micro-batch 2 or more"},
		{!(t.BNMomentum >= 0 && t.BNMomentum <= 1), fmt.Sprintf("--bn-momentum %g: must be from 0 to 1", t.BNMomentum)},
	} {
		if c.wrong {
			return failure.Usage(errors.New(c.text))
		}
	}
	return nil
}
