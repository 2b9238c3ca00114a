package plots

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"
)

// RateSearch is loss against learning rate, from a search that raised the rate
// step by step.
type RateSearch struct {
	Rates, Losses []float64 // [steps]; the losses smoothed
	Suggestion    float64   // 0: none
	Rule          string    // how the suggestion was chosen, as in "steepest fall of the loss"
}

// Draw implements Plot.
func (f RateSearch) Draw(w Width) (Figure, error) {
	hd := header{title: "Loss against learning rate"}
	if f.Suggestion > 0 {
		hd.title = "Suggested learning rate " + Short(f.Suggestion)
		if f.Rule != "" {
			hd.note = "Rule: " + f.Rule
		}
	}
	s := newSheet(w, hd, 290)
	xlo, xhi, ok := span(f.Rates)
	ylo, yhi, okY := span(f.Losses)
	if !ok || !okY || xlo <= 0 {
		return s.nothing("no steps recorded")
	}
	first, _, _ := ends(f.Losses)
	if fall := first - ylo; fall > 0.05*math.Abs(first) {
		yhi = min(yhi, ylo+1.6*fall) // leave out most of the final blow-up
	}
	if xhi <= xlo {
		xlo, xhi = xlo/2, xhi*2
	}
	p := newPlot("learning rate (log scale)", "training loss, smoothed (nats)")
	p.X.Tick.Marker = decades{}
	pad := 0.06 * max(yhi-ylo, 1e-6)
	if v := f.Suggestion; v > 0 && v >= xlo && v <= xhi {
		mark := lineOf(plotter.XYs{{X: math.Log10(v), Y: ylo - pad}, {X: math.Log10(v), Y: yhi + pad}}, red, 1.5)
		mark.Dashes = dashes
		p.Add(mark)
	}
	p.Add(lineOf(curve(logs(f.Rates, xlo), f.Losses, 2000), blue, 2.2))
	frame(p, math.Log10(xlo), math.Log10(xhi), ylo-pad, yhi+pad)
	p.Draw(s.body())
	if v := f.Suggestion; v > 0 && v >= xlo && v <= xhi {
		f.mark(s, p, v)
	}
	return s.figure(fmt.Sprintf("Smoothed training loss for learning rates %s to %s, lowest %s. %s", Short(xlo),
		Short(xhi), Short(ylo), hd.note))
}

// mark puts a dot where the suggestion meets the curve and its value beside it.
func (f RateSearch) mark(s *sheet, p *plot.Plot, v float64) {
	c := p.DataCanvas(s.body())
	x, y := c.X(p.X.Norm(math.Log10(v))), c.Y(p.Y.Norm(min(p.Y.Max, f.lossAt(v))))
	c.DrawGlyph(draw.GlyphStyle{Color: red, Radius: px(5), Shape: draw.CircleGlyph{}}, pointAt(x, y))
	sty := tinted(boldText, red)
	sty.YAlign = draw.YTop
	gap := px(8)
	if p.X.Norm(math.Log10(v)) > 0.75 {
		sty, gap = aligned(sty, draw.XRight), -gap
	}
	c.FillText(sty, pointAt(x+gap, c.Max.Y-px(2)), Short(v))
}

// lossAt is the loss of the rate nearest to v, on a log scale.
func (f RateSearch) lossAt(v float64) float64 {
	best, loss := math.Inf(1), math.NaN()
	for i := range min(len(f.Rates), len(f.Losses)) {
		if d := math.Abs(math.Log(f.Rates[i] / v)); d < best && finite(f.Losses[i]) {
			best, loss = d, f.Losses[i]
		}
	}
	return loss
}
