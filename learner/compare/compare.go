// Package compare sets finished runs beside each other: what they were made by, how good they are, and, on the
// validation photographs that they share, whether one is better than another or only luckier.
package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/runs"
	"finetune/scores"
)

// Run is a finished run.
type Run struct {
	Name     string            `json:"run"`
	Data     string            `json:"data"`
	Body     string            `json:"body"`
	Valid    runs.Score        `json:"valid"`
	Images   int               `json:"images"` // validation photographs
	Seconds  float64           `json:"seconds"`
	Settings map[string]string `json:"-"` // every field of config.json, by its place

	config runs.Config
	said   map[string]answer
}

// answer is what a run says of a validation photograph.
type answer struct {
	label, predicted string
	sure             float64 // the probability of what is predicted
}

// Setting is a field of config.json in which runs differ.
type Setting struct {
	Field  string   `json:"field"`
	Values []string `json:"values"` // of each run, "" where it has none
}

// Pair compares a run with the first one, on the validation photographs that both have with equal labels.
type Pair struct {
	A           string         `json:"a"`
	B           string         `json:"b"`
	Photographs int            `json:"photographs"`
	Both        int            `json:"both_right"`
	OnlyA       int            `json:"only_a_right"`
	OnlyB       int            `json:"only_b_right"`
	P           float64        `json:"mcnemar_p"`     // exact, two-sided
	Difference  float64        `json:"difference"`    // of accuracy, B less A
	Interval    [2]float64     `json:"interval"`      // 95 %, bootstrap
	Disagreed   []Disagreement `json:"disagreements"` // one of them alone is right, or both are wrong in two ways
}

// Disagreement is a photograph that two runs call differently.
type Disagreement struct {
	Path  string  `json:"path"`
	Label string  `json:"label"`
	A     string  `json:"a"`
	B     string  `json:"b"`
	SureA float64 `json:"probability_a"`
	SureB float64 `json:"probability_b"`
}

// Result is a comparison.
type Result struct {
	Runs     []Run     `json:"runs"`
	Settings []Setting `json:"settings"`
	Pairs    []Pair    `json:"pairs"`
}

// Compare reads runs and compares each with the first. seed draws the bootstrap.
//
// Errors: fewer than two, the same one twice, or one that is no finished run are failure.Usage.
func Compare(folders []string, seed uint64) (*Result, error) {
	if len(folders) < 2 {
		return nil, failure.Usagef("compare takes two runs or more; `finetune runs` lists what is there")
	}
	r := &Result{}
	for i, name := range folders {
		if slices.Contains(folders[:i], name) {
			return nil, failure.Usagef("compare: %s is named twice", name)
		}
		run, err := read(name)
		if err != nil {
			return nil, err
		}
		r.Runs = append(r.Runs, run)
	}
	r.Settings = differences(r.Runs)
	for _, b := range r.Runs[1:] {
		r.Pairs = append(r.Pairs, pair(r.Runs[0], b, seed))
	}
	return r, nil
}

func read(name string) (Run, error) {
	c, err := runs.ReadConfig(name)
	if err != nil {
		return Run{}, err
	}
	sum, err := runs.ReadSummary(name)
	if err != nil {
		return Run{}, err
	}
	if err := runs.CheckSums(name, runs.PredictionsFile); err != nil {
		return Run{}, err
	}
	run := Run{Name: filepath.ToSlash(name), Data: c.Data.Name(), Body: c.Body.Name, Valid: sum.Valid,
		Images: sum.ValidImages, Seconds: sum.Seconds.Train, config: c, said: map[string]answer{}}
	if run.Settings, err = settings(c); err != nil {
		return Run{}, err
	}
	return run, runs.ReadTable(runs.TableOf(name, runs.PredictionsFile), []string{"split", "path", "label", "predicted"},
		func(cells map[string]string, header []string) error {
			if cells["split"] != "valid" {
				return nil
			}
			a := answer{label: scores.Rearm(cells["label"]), predicted: scores.Rearm(cells["predicted"])}
			cell := runs.CellReader{Cells: cells}
			if _, one := cells["logp_"+a.predicted]; one && !c.Multi {
				a.sure = math.Exp(cell.Float("logp_" + a.predicted))
			}
			run.said[scores.Rearm(cells["path"])] = a
			return cell.Err
		})
}

// unlike are fields that say nothing about what a run learnt.
var unlike = []string{"version", "command", "classes", "multi_label", "machine."}

// settings are the fields of a configuration, by their places, as JSON.
func settings(c runs.Config) (map[string]string, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	out := map[string]string{}
	flatten("", tree, out)
	for field := range out {
		if slices.ContainsFunc(unlike, func(u string) bool { return strings.HasPrefix(field, u) }) {
			delete(out, field)
		}
	}
	return out, nil
}

func flatten(prefix string, tree map[string]any, out map[string]string) {
	for name, v := range tree {
		if below, ok := v.(map[string]any); ok {
			flatten(prefix+name+".", below, out)
			continue
		}
		if text, ok := v.(string); ok {
			out[prefix+name] = text
		} else if data, err := json.Marshal(v); err == nil {
			out[prefix+name] = string(data)
		}
	}
}

// differences are the fields that not all runs have the same, sorted.
func differences(list []Run) (out []Setting) {
	fields := map[string]bool{}
	for _, r := range list {
		for f := range r.Settings {
			fields[f] = true
		}
	}
	for f := range fields {
		s := Setting{Field: f}
		for _, r := range list {
			s.Values = append(s.Values, r.Settings[f])
		}
		if len(slices.Compact(slices.Clone(s.Values))) > 1 {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Setting) int { return strings.Compare(a.Field, b.Field) })
	return out
}

func pair(a, b Run, seed uint64) Pair {
	p := Pair{A: a.Name, B: b.Name, P: 1}
	for path, x := range a.said {
		y, shared := b.said[path]
		if !shared || x.label != y.label || x.label == "" && !a.config.Multi {
			continue
		}
		p.Photographs++
		switch rightA, rightB := x.predicted == x.label, y.predicted == y.label; {
		case rightA && rightB:
			p.Both++
		case rightA:
			p.OnlyA++
		case rightB:
			p.OnlyB++
		}
		if x.predicted != y.predicted {
			p.Disagreed = append(p.Disagreed, Disagreement{path, x.label, x.predicted, y.predicted, x.sure, y.sure})
		}
	}
	slices.SortFunc(p.Disagreed, func(x, y Disagreement) int { return strings.Compare(x.Path, y.Path) })
	if p.Photographs > 0 {
		p.P, p.Difference = McNemar(p.OnlyA, p.OnlyB), float64(p.OnlyB-p.OnlyA)/float64(p.Photographs)
		p.Interval[0], p.Interval[1] = DifferenceInterval(p.OnlyA, p.OnlyB, p.Photographs, seed)
	}
	return p
}

// likely is the probability of chance below which a difference is called one.
const likely = .05

// Verdict says in words what the pair comes to.
func (p Pair) Verdict() string {
	if p.Photographs == 0 {
		return "no validation photograph is in both with one label, so they cannot be compared"
	}
	text := fmt.Sprintf("%+.2f points (95 %% interval %+.2f to %+.2f) on %s; right alone: %d and %d, McNemar's p %.3g",
		100*p.Difference, 100*p.Interval[0], 100*p.Interval[1],
		plural.Count(p.Photographs, "shared photograph"), p.OnlyA, p.OnlyB, p.P)
	return text + ": " + p.word()
}

// word is what the test says.
func (p Pair) word() string {
	switch {
	case p.P >= likely:
		return "no difference that these photographs show"
	case p.Difference > 0:
		return "better"
	}
	return "worse"
}

// Shown are the values as a table shows them.
func (s Setting) Shown() []string {
	out := slices.Clone(s.Values)
	for k, v := range out {
		out[k] = cmp.Or(v, "–")
	}
	return out
}
