package plots

import (
	"fmt"
	"image/color"
	"sort"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"finetune/internal/plural"
)

// Scores is a histogram per class of the probability given to it: once for the
// photographs of the class, once for all others. Of more than 12 classes the
// 12 that separate worst are drawn.
type Scores struct {
	Classes     []string
	Predictions []Prediction
	Multi       bool
}

// histogram is one class's panel.
type histogram struct {
	class         int
	own, other    [bins]float64 // photographs per bin
	nOwn, nOther  int
	meanO, meanNo float64
}

const panels = 12

// Draw implements Plot.
func (f Scores) Draw(w Width) (Figure, error) {
	hs := f.worst(panels)
	hd := header{title: "Predicted probability of each class",
		note: "Share of each group of photographs, by probability of the class",
		key:  []swatch{{blue, "photographs of the class"}, {pale(orange), "all others"}}}
	if len(f.Classes) > panels {
		hd.title = fmt.Sprintf("Predicted probability of the %s of %s that are hardest to separate",
			plural.Count(len(hs), "class"), Count(len(f.Classes)))
	} else if len(hs) > 0 {
		h := hs[0]
		hd.title = fmt.Sprintf("Hardest class: %s, mean probability %.0f %% on its own photographs, %.0f %% on others",
			f.Classes[h.class], 100*h.meanO, 100*h.meanNo)
	}
	columns := 3
	if len(hs) <= 4 {
		columns = 2
	}
	if w < 500 {
		columns = min(columns, 2)
	}
	if w < 500 && len(hs) <= 3 {
		columns = 1
	}
	rows := (len(hs) + columns - 1) / columns
	const tall = 190.0
	s := newSheet(w, hd, max(60, tall*float64(rows)))
	if len(hs) == 0 {
		return s.nothing("no labelled photographs")
	}
	sort.SliceStable(hs, func(i, j int) bool { return len(f.Classes) <= panels && hs[i].class < hs[j].class })
	each := (s.w - 2*margin) / float64(columns)
	for i, h := range hs {
		x, y := margin+each*float64(i%columns), s.top+tall*float64(i/columns)
		f.panel(s, h, x, y, each-12, tall-12, i%columns == 0)
	}
	return s.figure(fmt.Sprintf("A histogram for each of %s.", plural.Count(len(hs), "class")))
}

// worst lists the n classes whose own photographs get the lowest probability
// over that of the others.
func (f Scores) worst(n int) []histogram {
	hs := make([]histogram, len(f.Classes))
	for c := range hs {
		hs[c].class = c
	}
	for _, p := range f.Predictions {
		for c := range hs {
			hs[c].add(p.Probability(c), p.Is(c, f.Multi))
		}
	}
	kept := hs[:0]
	for _, h := range hs {
		if h.nOwn > 0 {
			h.meanO, h.meanNo = h.meanO/float64(h.nOwn), h.meanNo/float64(max(1, h.nOther))
			kept = append(kept, h)
		}
	}
	sort.SliceStable(kept, func(i, j int) bool { return kept[i].meanO-kept[i].meanNo < kept[j].meanO-kept[j].meanNo })
	return kept[:min(n, len(kept))]
}

func (h *histogram) add(p float64, own bool) {
	if !finite(p) {
		return
	}
	b := min(bins-1, max(0, int(p*bins)))
	if own {
		h.own[b]++
		h.nOwn++
		h.meanO += p
		return
	}
	h.other[b]++
	h.nOther++
	h.meanNo += p
}

func (f Scores) panel(s *sheet, h histogram, x, y, w, tall float64, first bool) {
	s.text(boldText, x, y+7, fit(boldText, f.Classes[h.class], w-70))
	s.text(aligned(smallText, draw.XRight), x+w, y+7, CountOf(h.nOwn, "photo"))
	p := newPlot("probability (%)", "")
	if first {
		p.Y.Label.Text = "share (%)"
	}
	frame(p, 0, 100, 0, 100)
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{most: 4}, ticks{most: 3}
	top := 0.0
	for i := range bins {
		other, own := 100*h.other[i]/float64(max(1, h.nOther)), 100*h.own[i]/float64(h.nOwn)
		x0, x1 := 100*float64(i)/bins, 100*float64(i+1)/bins
		p.Add(barOf(x0, x1, other, pale(orange)))
		outline(p, x0, x1, own, blue)
		top = max(top, other, own)
	}
	p.Y.Max = top * 1.08
	p.Draw(s.area(x, y+18, w, tall-18))
}

// outline is a bar half as wide, so that what stands behind it stays visible.
func outline(p *plot.Plot, x0, x1, height float64, c color.Color) {
	quarter := (x1 - x0) / 4
	ring := plotter.XYs{{X: x0 + quarter, Y: 0}, {X: x1 - quarter, Y: 0}, {X: x1 - quarter, Y: height},
		{X: x0 + quarter, Y: height}}
	p.Add(&plotter.Polygon{XYs: []plotter.XYs{ring}, Color: c})
}
