package runs

import (
	"strings"
	"testing"

	"finetune/internal/failure"
)

func TestTrainingCheck(t *testing.T) {
	if err := Defaults().Train.Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for name, change := range map[string]func(t *Training){
		"--lr":                  func(t *Training) { t.LR = 0 },
		"--batch-size":          func(t *Training) { t.BatchSize = 1 },
		"--epochs":              func(t *Training) { t.Schedule = "constant" },
		"more than 1e+06":       func(t *Training) { t.Cycles, t.CycleMult = 20, 2; t.CycleLen = 1 },
		"--cycle-len":           func(t *Training) { t.CycleLen = 0 },
		"--epochs needs":        func(t *Training) { t.Epochs = 2 },
		"two or four":           func(t *Training) { t.Schedule, t.CLR = "clr", []float64{20} },
		"no --cycle-mult":       func(t *Training) { t.Schedule, t.CycleMult = "clr-beta", 2; *t = t.Completed() },
		"--micro-batch 2":       func(t *Training) { t.MicroBatch = 1 },
		"--freeze-to must be 0": func(t *Training) { t.FreezeTo = -1 },
		"--bn-momentum 1.01":    func(t *Training) { t.BNMomentum = 1.01 },
	} {
		c := Defaults().Train
		change(&c)
		if err := c.Check(); failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := Defaults().Train
	c.Cycles, c.CycleMult = 19, 2 // 2^19 - 1 epochs
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func TestTrainingCompleted(t *testing.T) {
	for name, c := range map[string]struct {
		given Training
		want  string
		clr   int
	}{
		"nothing":  {Training{}, "sgdr", 0},
		"epochs":   {Training{Epochs: 2}, "constant", 0},
		"named":    {Training{Epochs: 2, Schedule: "warm-up"}, "warm-up", 0},
		"clr":      {Training{Schedule: "clr"}, "clr", 2},
		"clr-beta": {Training{Schedule: "clr-beta", CLR: []float64{10, 10, .95, .85}}, "clr-beta", 4},
	} {
		if got := c.given.Completed(); got.Schedule != c.want || len(got.CLR) != c.clr {
			t.Errorf("%s: %s, %v", name, got.Schedule, got.CLR)
		}
	}
}
