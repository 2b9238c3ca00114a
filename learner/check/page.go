package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"slices"
	"strings"

	"finetune/augment/picture"
	"finetune/internal/reading"
	"finetune/plots"
	"finetune/plots/page"
)

// sections say what each kind is about, in the order of the page.
var sections = []struct{ kind, title, note string }{
	{Label, "Labels", "Each photograph beside the training photographs most like it, the most contradicted first. " +
		"The score is what the others say for its label less what they say against it: below 0 they contradict it. A " +
		"rare view of a class is contradicted as well: look before you relabel."},
	{Copy, "Copies", "Pairs that show one picture, the surest first. The left one can go; where one of them is held " +
		"out, the accuracy flatters."},
	{Sequence, "Series", "Series of photographs that training and validation both have a part of: first and last of " +
		"each, and some between. What was learnt by heart of one half is right about the other."},
	{Metadata, "Told by the files", "How well facts of the files tell a class on validation, by area under the curve: " +
		".5 is chance, 1 certain. A network learns such a difference too, and is wrong where it is gone. What this " +
		"cannot see: a background, a light or a camera that only one class has."},
	{Odd, "Unlike the others", "Photographs far from what training photographs have in common, beside those nearest " +
		"to them. 1 is the distance that one in a hundred training photographs passes. Rotated ones are not odd to these " +
		"features."},
	{Basic, "At first sight", "Files that cannot be read, photographs that are dark, light, blurred, of one colour, " +
		"narrow, of another size than the rest."},
	{Balance, "Classes", "Training photographs of each class, the smallest first."},
}

// alikeNote is of the section Copies where photographs are alike because they are a series.
const alikeNote = "Pairs that look alike, the most alike first. They need not be copies: photographs of one series " +
	"look alike, and many held-out ones have such a neighbour in training. Keep series on one side of the split."

func (r *Result) writePage(path string) error {
	a := page.Audit{Title: filepath.Base(r.Data), Headline: r.headline(), Tiles: r.tiles(), Load: r.p.open}
	a.Sections = r.sections(func(row Row, said bool) bool {
		switch row.Kind {
		case Metadata:
			return row.Flagged || said
		case Label:
			return row.Detail != "" // flagged, or among the first
		}
		return true
	})
	return page.WriteAudit(path, a)
}

// mostInReport is how many cases of a kind a run keeps for its report.
const mostInReport = 12

// worst are the sections that a run keeps: of the kinds with something to say, what is flagged, and the first labels.
func (r *Result) worst() []page.Section {
	all := r.sections(func(row Row, said bool) bool {
		return said && (row.Flagged || row.Kind == Metadata || row.Kind == Label && row.Detail != "")
	})
	all = slices.DeleteFunc(all, func(s page.Section) bool { return s.Finding == "" })
	for k, s := range all {
		all[k].Cases = s.Cases[:min(len(s.Cases), mostInReport)]
	}
	return all
}

// sections are the findings as a page shows them: of each kind the rows that are wanted, where said is whether
// there is something to say of the kind.
func (r *Result) sections(wanted func(row Row, said bool) bool) []page.Section {
	var out []page.Section
	for _, s := range sections {
		section := page.Section{ID: s.kind, Title: s.title, Note: s.note}
		if s.kind == Copy && r.likeFilm > 0 {
			section.Note = alikeNote
		}
		for _, f := range r.Findings {
			if f.Kind == s.kind {
				section.Finding = strings.ToUpper(f.Text[:1]) + f.Text[1:] + "."
			}
		}
		for _, row := range r.Rows {
			switch {
			case row.Kind != s.kind || !wanted(row, section.Finding != ""):
			case s.kind == Balance:
				section.Columns = []string{"class", "photographs"}
				section.Table = append(section.Table, []string{row.Label, row.Detail})
			default:
				section.Cases = append(section.Cases, r.shown(row))
			}
		}
		section.All = len(section.Cases)
		out = append(out, section)
	}
	return out
}

func (r *Result) headline() string {
	n := 0
	for _, row := range r.Flagged {
		alike := row.Kind == Copy && r.likeFilm > 0 && row.Score < 1 // one finding, of the series
		if row.Kind != Balance && row.Kind != Sequence && !alike {
			n++
		}
	}
	switch {
	case len(r.Findings) == 0:
		return "Nothing is amiss that an audit can see"
	}
	return plots.CountOf(n, "finding") + " to look at"
}

func (r *Result) tiles() []page.Tile {
	p := r.p
	of := func(kind string) string { return plots.Count(r.flagged(kind)) }
	both := "held-out photographs that training has as well"
	if r.likeFilm > 0 {
		both = "held-out photographs with a near-identical one in training"
	}
	tiles := []page.Tile{
		{Name: "Photographs", Value: plots.Count(len(p.items)), Note: fmt.Sprintf("%s to train, %s held out, %s",
			plots.Count(p.train), plots.Count(len(p.items)-p.train), plots.CountOf(len(p.setup.Set.Classes), "class"))},
		{Name: "Doubtful labels", Value: of(Label), Note: "of " + plots.CountOf(p.train, "training photograph")},
		{Name: "In both splits", Value: plots.Count(r.Leaking), Note: both},
		{Name: "Odd or broken", Value: plots.Count(r.flagged(Odd) + r.flagged(Basic)),
			Note: "unlike all others, dark, blurred, empty"},
	}
	if r.Grouped > 0 {
		tiles = append(tiles, page.Tile{Name: "Series kept together", Value: fmt.Sprintf("%.1f %%", 100*r.Grouped),
			Note: fmt.Sprintf("right; %.1f %% by random folds", 100*r.Random)})
	}
	return tiles
}

// shown is a row as the page shows it.
func (r *Result) shown(row Row) page.Case {
	p, c := r.p, page.Case{Flagged: row.Flagged}
	shot := func(i int, note string) page.Shot {
		return page.Shot{Path: p.items[i].Path, Label: orNone(p.label(i)), Note: note}
	}
	if row.at < 0 {
		c.Text = row.Detail
		if row.Path != "" {
			c.Text = row.Path + ": " + c.Text
		}
		return c
	}
	own := shot(row.at, "")
	own.Wrong = row.Flagged
	var others []page.Shot
	for _, i := range row.more {
		others = append(others, shot(i, p.split[i]))
	}
	switch row.Kind {
	case Label:
		c.Text = fmt.Sprintf("Labelled %s; look at it (%.2f)", orNone(row.Label), row.Score)
		if row.Flagged {
			c.Text = fmt.Sprintf("Labelled %s, by the others %s (%.2f)", orNone(row.Label), orNone(row.Suggested), row.Score)
			own.Said = "by the others: " + orNone(row.Suggested)
		}
	case Copy:
		c.Text = fmt.Sprintf("%s (%.2f)", row.Detail, row.Score)
		own.Note = row.Split
		others = []page.Shot{shot(row.with, p.split[row.with])}
	case Sequence:
		c.Text, own.Wrong = row.Detail, false
		own.Note = row.Split
		others = append(others[:min(2, len(others))], shot(row.with, p.split[row.with]))
	case Metadata:
		c.Text, own.Wrong = fmt.Sprintf("%s is told by the %s", row.Label, row.Detail), false
	default:
		c.Text = row.Detail
	}
	c.Shots = append([]page.Shot{own}, others...)
	return c
}

// orNone is what the page calls a label.
func orNone(label string) string { return cmp.Or(label, "no label") }

// open decodes a photograph for the page.
func (p *photographs) open(path string) (image.Image, error) {
	for _, it := range p.items {
		if it.Path != path {
			continue
		}
		data, err := reading.File(it.File, reading.MaxPhoto)
		if err != nil {
			return nil, err
		}
		limits := p.setup.Limits(context.Background())
		limits.MinSide = 200 // enough for a card
		im, err := picture.Decode(data, limits)
		if err != nil {
			return nil, err
		}
		return im.NRGBA(), nil
	}
	return nil, errors.New("audit: " + path + ": not among the photographs")
}
