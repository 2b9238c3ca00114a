package cli

import (
	"bytes"
	"strings"
	"testing"

	"finetune/cli/term"
	"finetune/learner"
)

// An accuracy that the most frequent class alone would reach is told as such.
func TestMajorityIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		m        *learner.Majority
		accuracy float64
		interval [2]float64
		want     string // "" for silence
	}{
		"several labels": {nil, 0.2, [2]float64{0.1, 0.3}, ""},
		"better":         {&learner.Majority{Class: "a", Share: 0.5}, 0.9, [2]float64{0.8, 0.95}, ""},
		"perhaps better": {&learner.Majority{Class: "a", Share: 0.5}, 0.6, [2]float64{0.4, 0.7}, ""},
		"equal": {&learner.Majority{Class: "a", Share: 0.5}, 0.5, [2]float64{0.4, 0.6},
			`always predicting "a", which reaches 50.00 %; is the body a trained network, and are photographs prepared`},
		"worse, rare": {&learner.Majority{Class: "b", Share: 0.99}, 0.03, [2]float64{0.01, 0.1},
			"reaches 99.00 %; `finetune evaluate RUN` measures each class, and train --balance weights helps rare classes"},
		"hardly better": {&learner.Majority{Class: "b", Share: 0.9}, 0.92, [2]float64{0.88, 0.95},
			`92.00 % is hardly better than always predicting "b", which reaches 90.00 %; `},
		"of one class": {&learner.Majority{Class: "b", Share: 1}, 1, [2]float64{0.9, 1},
			`all of these photographs are of the class "b": the accuracy says nothing about other classes`},
		"rare, well beyond": {&learner.Majority{Class: "b", Share: 0.9}, 0.97, [2]float64{0.95, 0.99}, ""},
	} {
		var text bytes.Buffer
		warnMajority(term.New(Streams{Err: &text}, false, false), c.m, c.accuracy, c.interval)
		if got := text.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
