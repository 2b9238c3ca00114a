package compare

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"

	"finetune/internal/plural"
	"finetune/learner/report"
	"finetune/plots"
	"finetune/plots/page"
)

// WritePage writes the comparison as one HTML file with the photographs on which the runs disagree.
func (r *Result) WritePage(file string) error {
	first := r.Runs[0]
	a := page.Audit{Over: "Comparison of runs on", Title: filepath.Base(first.Data), Headline: r.headline(),
		Load: report.Opener(first.config)}
	table := page.Section{ID: "runs", Title: "Runs", Note: "Each run on its own validation photographs.",
		Columns: []string{"run", "accuracy", "95 % interval", "log loss", "photographs", "training"}}
	for _, run := range r.Runs {
		table.Table = append(table.Table, []string{run.Name, fmt.Sprintf("%.2f %%", 100*run.Valid.Accuracy),
			fmt.Sprintf("%.1f to %.1f", 100*run.Valid.Interval[0], 100*run.Valid.Interval[1]),
			fmt.Sprintf("%.4f", run.Valid.Loss), plots.Count(run.Images), plots.Seconds(run.Seconds)})
	}
	settings := page.Section{ID: "settings", Title: "Settings that differ",
		Note:    "Fields of config.json; – where one is not set.",
		Columns: []string{"setting"}}
	for _, run := range r.Runs {
		settings.Columns = append(settings.Columns, run.Name)
	}
	for _, s := range r.Settings {
		settings.Table = append(settings.Table, append([]string{s.Field}, s.Shown()...))
	}
	a.Sections = append(a.Sections, table, settings)
	for k, p := range r.Pairs {
		s := page.Section{ID: fmt.Sprint("pair-", k+1), Title: p.B + " beside " + p.A, Finding: p.Verdict(),
			Note: "Photographs that the two call differently, those that one is right about first.", All: len(p.Disagreed)}
		for _, d := range p.ordered() {
			s.Cases = append(s.Cases, page.Case{Text: d.text(p), Flagged: d.B != d.Label,
				Shots: []page.Shot{{Path: d.Path, Label: "true: " + cmp.Or(d.Label, "none"), Wrong: d.B != d.Label}}})
		}
		a.Sections = append(a.Sections, s)
	}
	return page.WriteAudit(file, a)
}

func (r *Result) headline() string {
	if len(r.Pairs) > 1 {
		return plural.Count(len(r.Pairs), "run") + " beside " + r.Runs[0].Name
	}
	p := r.Pairs[0]
	if p.Photographs == 0 {
		return "The runs share no photograph"
	}
	return fmt.Sprintf("%s beside %s: %+.2f points, p %.3g, %s", short(p.B), short(p.A), 100*p.Difference, p.P, p.word())
}

// short is a run's own name, without the folders above it.
func short(run string) string { return path.Base(run) }

// ordered are the disagreements, those first that the second run is wrong about and the first is right.
func (p Pair) ordered() []Disagreement {
	var lost, won, neither []Disagreement
	for _, d := range p.Disagreed {
		switch d.Label {
		case d.A:
			lost = append(lost, d)
		case d.B:
			won = append(won, d)
		default:
			neither = append(neither, d)
		}
	}
	return append(append(lost, won...), neither...)
}

func (d Disagreement) text(p Pair) string {
	said := func(run, what string, sure float64) string {
		text := fmt.Sprintf("%s: %s", run, cmp.Or(what, "none"))
		if sure > 0 {
			text += fmt.Sprintf(", %.0f %%", 100*sure)
		}
		return text
	}
	return said(short(p.A), d.A, d.SureA) + "; " + said(short(p.B), d.B, d.SureB)
}
