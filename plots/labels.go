package plots

import (
	"fmt"
	"math"

	"gonum.org/v1/plot/plotter"

	"finetune/internal/plural"
)

// MoreLabels is accuracy against the number of labels, and what more of them may give.
type MoreLabels struct {
	Labels              []int     // the fewest first
	Accuracy, Low, High []float64 // [len(Labels)]: mean, least and most of several draws
	Finding             string    // the title; "" for none
	Ahead               []int     // numbers of labels, all there are first, and the accuracy that is expected of them
	Expected            []float64
}

// Draw implements Plot.
func (f MoreLabels) Draw(w Width) (Figure, error) {
	hd := header{title: f.Finding, key: []swatch{{blue, "measured, five draws"}}}
	if hd.title == "" {
		hd.title = "Accuracy by number of labels"
	}
	if len(f.Ahead) > 0 {
		hd.key = append(hd.key, swatch{orange, "expected"})
	}
	s := newSheet(w, hd, 290)
	ylo, yhi, ok := span(f.Low, f.High, f.Expected)
	if !ok || len(f.Labels) == 0 {
		return s.nothing("no labels")
	}
	at := func(n int) float64 { return math.Log10(float64(n)) }
	p := newPlot("labels (log scale)", "accuracy")
	p.X.Tick.Marker = decades{}
	last := f.Labels[len(f.Labels)-1]
	var means plotter.XYs
	for k, n := range f.Labels {
		means = append(means, plotter.XY{X: at(n), Y: f.Accuracy[k]})
		p.Add(lineOf(plotter.XYs{{X: at(n), Y: f.Low[k]}, {X: at(n), Y: f.High[k]}}, blue, 1.2))
	}
	var ahead plotter.XYs
	for k, n := range f.Ahead {
		ahead = append(ahead, plotter.XY{X: at(n), Y: f.Expected[k]})
		last = max(last, n)
	}
	if len(ahead) > 1 {
		line := lineOf(ahead, orange, 2.2)
		line.Dashes = dashes
		p.Add(line)
	}
	p.Add(lineOf(means, blue, 2.2), dotsOf(means, blue, 4))
	pad := .06 * max(yhi-ylo, 1e-3)
	frame(p, at(f.Labels[0])-.03, at(last)+.03, ylo-pad, min(yhi+pad, 1.001))
	p.Draw(s.body())
	return s.figure(fmt.Sprintf("Accuracy of %s to %s: %s to %s.", Count(f.Labels[0]),
		plural.Count(f.Labels[len(f.Labels)-1], "label"), Percent(f.Accuracy[0]), Percent(f.Accuracy[len(f.Accuracy)-1])))
}
