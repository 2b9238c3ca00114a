package plots

import (
	"fmt"
	"strings"

	"gonum.org/v1/plot/vg/draw"
)

// Gain is a stage of a recipe and its number of correct predictions.
type Gain struct {
	Step     string // as in "train the head"
	Right, N int    // validation photographs
	Seconds  float64
}

// Gains shows the errors after each stage of a recipe, as bars that start
// at zero.
type Gains struct{ Steps []Gain }

// Draw implements Plot.
func (f Gains) Draw(w Width) (Figure, error) {
	hd := header{title: f.finding(), note: "Share of wrong predictions after each stage; thin lines are 95 % intervals"}
	if len(f.Steps) == 0 {
		return newSheet(w, header{title: hd.title}, 40).nothing("no stages")
	}
	row, lift := 52.0, 0.0
	if w < 500 { // name and numbers on a line each
		row, lift = 70, 18
	}
	s := newSheet(w, hd, row*float64(len(f.Steps)))
	most := 0.01
	for _, g := range f.Steps {
		_, hi := Wilson(g.N-g.Right, g.N)
		if finite(hi) {
			most = max(most, hi*1.04)
		}
	}
	room := s.w - 2*margin
	for i, g := range f.Steps {
		y := s.top + row*float64(i)
		e := 1 - float64(g.Right)/float64(max(1, g.N))
		s.text(boldText, margin, y+8, fit(boldText, g.Step, room))
		if lift > 0 {
			s.text(noteText, margin, y+8+lift, f.words(i))
		} else {
			s.text(aligned(noteText, draw.XRight), s.w-margin, y+8, f.words(i))
		}
		y += lift
		s.rect(margin, y+20, room, 18, faint)
		s.rect(margin, y+20, max(1, room*e/most), 18, pale(red))
		lo, hi := Wilson(g.N-g.Right, g.N)
		s.line(margin+room*lo/most, y+29, margin+room*hi/most, y+29, 1.5, ink)
		s.line(margin+room*e/most, y+20, margin+room*e/most, y+38, 2.5, red)
	}
	return s.figure("Error and 95 % interval after each stage.")
}

func (f Gains) words(i int) string {
	g := f.Steps[i]
	e := 100 * (1 - float64(g.Right)/float64(max(1, g.N)))
	text := fmt.Sprintf("%.1f %% wrong", e)
	if i > 0 {
		before := f.Steps[i-1]
		d := e - 100*(1-float64(before.Right)/float64(max(1, before.N)))
		text += strings.Replace(fmt.Sprintf(" (%+.1f)", d), "-", "−", 1)
	}
	return text + ", " + Seconds(g.Seconds)
}

func (f Gains) finding() string {
	if len(f.Steps) < 2 {
		return "Gain of each stage"
	}
	best, fewer := 0, 0
	for i := 1; i < len(f.Steps); i++ {
		if d := f.Steps[i].Right - f.Steps[i-1].Right; d > fewer {
			best, fewer = i, d
		}
	}
	if fewer == 0 {
		return "No stage after the first lowered the error"
	}
	return fmt.Sprintf("%s: %s of %s, the most of any stage", f.Steps[best].Step, CountOf(fewer, "fewer mistake"),
		Count(f.Steps[best].N))
}

// Seconds writes a duration as people say it.
func Seconds(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.1f s", v)
	case v < 120:
		return fmt.Sprintf("%.0f s", v)
	case v < 7200:
		return fmt.Sprintf("%.0f min", v/60)
	}
	return fmt.Sprintf("%.1f h", v/3600)
}
