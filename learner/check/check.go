// Package check audits a data set: it brings the features of the photographs, their labels and their
// files together with package audit, and writes what it found as tables and as a page. It
// reads photographs and never touches one.
package check

import (
	"cmp"
	"context"
	"time"

	"finetune/audit"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/learner/features"
	"finetune/learner/runs"
)

// Kinds of findings, in the order of the tables.
const (
	Label    = "label"
	Copy     = "copy"
	Sequence = "sequence"
	Metadata = "metadata"
	Odd      = "odd"
	Basic    = "basic"
	Balance  = "balance"
)

// Kinds lists them.
var Kinds = []string{Label, Copy, Sequence, Metadata, Odd, Basic, Balance}

// Row is a line of audit.csv.
type Row struct {
	Kind      string  `json:"kind"`
	Path      string  `json:"path,omitempty"` // relative to DATA; empty where a class or the whole set is meant
	Split     string  `json:"split,omitempty"`
	Label     string  `json:"label,omitempty"`
	Score     float64 `json:"score"`
	Flagged   bool    `json:"flagged"`
	Suggested string  `json:"suggested,omitempty"` // a label
	Other     string  `json:"other,omitempty"`     // the photograph that it is a copy of, or nearest to
	Detail    string  `json:"detail,omitempty"`

	at, with int   // rows of photographs: Path's and Other's; -1 where there is none
	more     []int // further photographs to show
}

// Result is what an audit found.
type Result struct {
	Data     string             `json:"data"`
	Counts   []dataset.Count    `json:"counts"`
	Findings []runs.Finding     `json:"findings"` // of kinds with something to say
	Leaking  int                `json:"leaking"`  // photographs that are in training and in validation or test
	Random   float64            `json:"accuracy_random_folds,omitempty"`
	Grouped  float64            `json:"accuracy_grouped_folds,omitempty"` // photographs of a series on one side
	Series   audit.Series       `json:"-"`
	Seconds  map[string]float64 `json:"seconds,omitempty"`
	Curve    *audit.LabelCurve  `json:"label_curve,omitempty"` // of one label each, and enough photographs
	Flagged  []Row              `json:"flagged"`
	Rows     []Row              `json:"-"` // by kind, each the worst first

	p        *photographs
	brief    bool           // for the closing lines of a training
	besides  map[string]int // rows of each kind that have neighbours beside them
	likeFilm float64        // share of validation with a near-identical photograph in training, where that is large
}

// photographs are those of all splits, one after the other.
type photographs struct {
	setup    *features.Setup
	items    []dataset.Item
	split    []string
	rows     [][]float32
	train    int // the first so many are of training
	valid    int // and so many after them of validation
	facts    []audit.Facts
	pictures []audit.Picture
	pairs    []audit.Pair // of similar features
	partly   bool         // there are more of them within a split
	lengths  []float64    // of the rows of training, where they were asked for
	product  audit.Product
}

// Run audits the photographs of f, as s listed them. Features are those of the centre view.
func Run(ctx context.Context, s *features.Setup, f *features.Features) (*Result, error) {
	return run(ctx, s, f, false)
}

// mostBrief is the number of photographs from which on training does without an audit.
const mostBrief = 20000

// Brief is Run for the closing lines of a training: it compares only the most suspicious pairs. Of more than
// 5,000 photographs it decodes no others, and so says nothing about files; it is nil of more than 20,000.
func Brief(ctx context.Context, s *features.Setup, f *features.Features) (*Result, error) {
	if f.Train.Len()+f.Valid.Len() > mostBrief {
		return nil, nil
	}
	return run(ctx, s, f, true)
}

func run(ctx context.Context, s *features.Setup, f *features.Features, brief bool) (*Result, error) {
	p := &photographs{setup: s, train: f.Train.Len(), valid: f.Valid.Len()}
	for _, part := range []struct {
		name string
		of   features.Split
	}{{"train", f.Train}, {"valid", f.Valid}, {"test", f.Test}} {
		for i, it := range part.of.Items {
			p.items, p.split = append(p.items, it), append(p.split, part.name)
			p.rows = append(p.rows, part.of.Rows[i])
		}
	}
	fast, err := features.NewProducts(s.Config.Machine.Threads)
	if err != nil {
		return nil, err
	}
	defer fast.Close()
	p.product = fast.Multiply
	r := &Result{brief: brief, Data: s.Config.Data.Name(), Counts: s.Set.Counts(), Seconds: map[string]float64{}, p: p,
		besides: map[string]int{}}
	started := time.Now()
	if p.pairs, err = audit.Similar(p.rows, p.product); err != nil {
		return nil, failure.Data(err)
	}
	r.Seconds["similar"] = time.Since(started).Seconds()
	started = time.Now()
	if brief {
		err = p.lookBriefly(ctx)
	} else {
		p.facts, p.pictures, err = look(ctx, s, p.items)
	}
	if err != nil {
		return nil, err
	}
	r.Seconds["look"] = time.Since(started).Seconds()
	for _, part := range []struct {
		name string
		do   func() error
	}{{Label, r.labels}, {Copy, r.copies}, {Sequence, r.sequences}, {Metadata, r.metadata}, {Odd, r.odd},
		{Basic, func() error { r.basics(f.Skipped); return nil }}, {Balance, r.balance}, {"curve", r.curve}} {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if part.name == Metadata && len(p.facts) == 0 {
			continue
		}
		started = time.Now()
		if err := part.do(); err != nil {
			return nil, failure.Data(err)
		}
		r.Seconds[part.name] = time.Since(started).Seconds()
	}
	for _, row := range r.Rows {
		if row.Flagged {
			r.Flagged = append(r.Flagged, row)
		}
	}
	return r, nil
}

// label is what a photograph is called, "" where it is not known.
func (p *photographs) label(i int) string {
	set := p.setup.Set
	if set.Multi {
		return p.tags(p.items[i].Labels)
	}
	return runs.ClassName(set.Classes, p.items[i].Label)
}

func (p *photographs) tags(labels []int) string {
	return runs.ClassNames(p.setup.Set.Classes, labels, cmp.Or(p.setup.Config.Data.LabelSep, ";"))
}

// row is a finding about photograph i, beside photograph with, -1 for none.
func (p *photographs) row(kind string, i, with int) Row {
	r := Row{Kind: kind, Path: p.items[i].Path, Split: p.split[i], Label: p.label(i), at: i, with: with}
	if with >= 0 {
		r.Other = p.items[with].Path
	}
	return r
}

// single are the labels [n] of photographs that have one each; -1 where it is not known. A set of
// several labels has none.
func (p *photographs) single() []int {
	out := make([]int, len(p.items))
	for i, it := range p.items {
		if out[i] = it.Label; p.setup.Set.Multi {
			out[i] = -1
		}
	}
	return out
}

func (r *Result) add(row Row) { r.Rows = append(r.Rows, row) }

// say adds a finding.
func (r *Result) say(kind, text string) {
	n := 0
	for _, row := range r.Rows {
		if row.Kind == kind && row.Flagged {
			n++
		}
	}
	r.Findings = append(r.Findings, runs.Finding{Kind: kind, Flagged: n, Text: text})
}
