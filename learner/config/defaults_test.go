package config

import "testing"

func TestTrainingCompleted(t *testing.T) {
	own := OneCycle{Div: 10, Cut: 10, Moves: true, MomentumMax: .95, MomentumMin: .85}
	for name, c := range map[string]struct {
		given Training
		want  Schedule
		clr   OneCycle
	}{
		"nothing":  {Training{}, SGDR, OneCycle{}},
		"epochs":   {Training{Epochs: 2}, Constant, OneCycle{}},
		"named":    {Training{Epochs: 2, Schedule: "warm-up"}, WarmUp, OneCycle{}},
		"clr":      {Training{Schedule: "clr"}, CLR, OneCycle{Div: 20, Cut: 10}},
		"clr-beta": {Training{Schedule: "clr-beta", CLR: own}, CLRBeta, own},
	} {
		if got := c.given.Completed(); got.Schedule != c.want || got.CLR != c.clr {
			t.Errorf("%s: %s, %v", name, got.Schedule, got.CLR)
		}
	}
}
