package plots

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"finetune/internal/plural"
)

// newPlot returns a gonum plot in the house style with named axes.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle = tinted(aligned(noteText, draw.XCenter), soft)
		a.Label.Padding = px(4)
		a.LineStyle = draw.LineStyle{Color: soft, Width: px(1)}
		a.Tick.LineStyle = draw.LineStyle{Color: soft, Width: px(1)}
		a.Tick.Length = px(4)
		a.Tick.Marker = ticks{}
		a.Padding = px(4)
	}
	p.X.Tick.Label = aligned(tickText, draw.XCenter)
	p.X.Tick.Label.YAlign = draw.YTop
	p.Y.Tick.Label = aligned(tickText, draw.XRight)
	p.Y.Label.TextStyle.YAlign = draw.YBottom
	p.X.Label.TextStyle.YAlign = draw.YBottom
	p.X.Label.Text, p.Y.Label.Text = x, y
	lines := plotter.NewGrid()
	lines.Vertical.Color = nil
	lines.Horizontal = draw.LineStyle{Color: faint, Width: px(1)}
	p.Add(lines) // first, hence behind the data
	return p
}

// ticks places labels at multiples of 1, 2 or 5 times a power of ten.
type ticks struct {
	whole bool // label integers alone: epochs and steps
	most  int  // labels wanted, 0: six
}

// Ticks implements plot.Ticker.
func (t ticks) Ticks(lo, hi float64) []plot.Tick {
	most := t.most
	if most == 0 {
		most = 6
	}
	step := niceStep((hi-lo)/float64(most), t.whole)
	digits := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	var out []plot.Tick
	for i := math.Ceil(lo/step - 1e-9); i <= hi/step+1e-9; i++ {
		v := i * step
		out = append(out, plot.Tick{Value: v, Label: groupDigits(strconv.FormatFloat(v+0, 'f', digits, 64))})
	}
	return out
}

// niceStep is the smallest of 1, 2, 5 times a power of ten that is at least raw.
func niceStep(raw float64, whole bool) float64 {
	if !(raw > 0) || math.IsInf(raw, 0) {
		raw = 1
	}
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * power
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw*(1-1e-9) {
			step = m * power
			break
		}
	}
	if whole {
		step = max(step, 1)
	}
	return step
}

// groupDigits sets thin spaces in whole numbers of five digits and more.
func groupDigits(s string) string {
	for _, r := range s {
		if r < '0' || r > '9' {
			return s
		}
	}
	if len(s) < 5 {
		return s
	}
	out := ""
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			out += "\u2009"
		}
		out += string(r)
	}
	return out
}

// Count writes n with its digits grouped.
func Count(n int) string { return groupDigits(strconv.Itoa(n)) }

// CountOf is Count and the name of what is counted, given in the singular.
func CountOf(n int, one string) string { return Count(n) + " " + plural.Noun(n, one) }

// Percent writes a share of 0 to 1 with one decimal, or "none" for 0/0.
func Percent(share float64) string {
	if math.IsNaN(share) {
		return "none"
	}
	return fmt.Sprintf("%.1f\u00a0%%", 100*share)
}

// Short writes a number with three significant digits, without an exponent
// unless it is far from 1.
func Short(v float64) string {
	if v != 0 && (math.Abs(v) < 1e-4 || math.Abs(v) >= 1e5) {
		return strconv.FormatFloat(v, 'e', 1, 64)
	}
	s := strconv.FormatFloat(v, 'g', 3, 64)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return s
}

// decades labels an axis of base-ten logarithms (gonum's own log scale sets its
// label off centre) with the powers as they are typed on a command line: 1e-3.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(lo, hi float64) []plot.Tick {
	var out []plot.Tick
	for e := math.Floor(lo); e <= math.Ceil(hi); e++ {
		for m := 1.0; m < 10; m++ {
			t := plot.Tick{Value: e + math.Log10(m)}
			if m == 1 {
				t.Label = power(int(e))
			}
			if t.Value >= lo-1e-9 && t.Value <= hi+1e-9 {
				out = append(out, t)
			}
		}
	}
	return out
}

func power(e int) string {
	switch {
	case e >= -1 && e <= 3:
		return strconv.FormatFloat(math.Pow10(e), 'f', -1, 64)
	default:
		return "1e" + strconv.Itoa(e)
	}
}

// logs are base-ten logarithms, nothing below least, 0 having none.
func logs(v []float64, least float64) []float64 {
	out := make([]float64, len(v))
	for i, f := range v {
		out[i] = math.Log10(max(f, least))
	}
	return out
}

// curve is a line through the finite points of x, y, at most most of them: the
// rest are thinned evenly, always keeping the last.
func curve(x, y []float64, most int) plotter.XYs {
	n := min(len(x), len(y))
	step := max(1, (n+most-1)/most)
	var out plotter.XYs
	for i := range n {
		if i%step != 0 && i != n-1 {
			continue
		}
		if finite(x[i]) && finite(y[i]) {
			out = append(out, plotter.XY{X: x[i], Y: y[i]})
		}
	}
	return out
}

// lineOf is a line through xys, thick in CSS pixels.
func lineOf(xys plotter.XYs, c color.Color, thick float64) *plotter.Line {
	return &plotter.Line{XYs: xys, LineStyle: draw.LineStyle{Color: c, Width: px(thick)}}
}

// dotsOf are filled circles at xys, radius in CSS pixels.
func dotsOf(xys plotter.XYs, c color.Color, radius float64) *plotter.Scatter {
	return &plotter.Scatter{XYs: xys, GlyphStyle: draw.GlyphStyle{Color: c, Radius: px(radius), Shape: draw.CircleGlyph{}}}
}

// barOf is an upright bar over x0 to x1 with a sliver of air at both sides.
func barOf(x0, x1, height float64, c color.Color) *plotter.Polygon {
	air := (x1 - x0) * 0.04
	x0, x1 = x0+air, x1-air
	ring := plotter.XYs{{X: x0, Y: 0}, {X: x1, Y: 0}, {X: x1, Y: height}, {X: x0, Y: height}}
	return &plotter.Polygon{XYs: []plotter.XYs{ring}, Color: c}
}

// stack draws two plots of one x axis above each other, the upper one taking
// share of the height.
func (s *sheet) stack(upper, lower *plot.Plot, share float64) {
	upper.X.Label.Text = ""
	b := s.h - margin - s.top
	at, gap := b*share, 14.0
	top, bottom := s.area(margin, s.top, s.w-2*margin, at-gap/2), s.area(margin, s.top+at+gap/2, s.w-2*margin, b-at-gap/2)
	left := max(leftEdge(upper, top), leftEdge(lower, bottom))
	upper.Draw(draw.Crop(top, left-leftEdge(upper, top), 0, 0, 0))
	lower.Draw(draw.Crop(bottom, left-leftEdge(lower, bottom), 0, 0, 0))
}

// leftEdge is where the data of p begins on c.
func leftEdge(p *plot.Plot, c draw.Canvas) vg.Length {
	return p.DataCanvas(c).Min.X - c.Min.X
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// span is the range of the finite values; ok is false if there are none.
func span(vs ...[]float64) (lo, hi float64, ok bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, v := range vs {
		for _, f := range v {
			if finite(f) {
				lo, hi, ok = min(lo, f), max(hi, f), true
			}
		}
	}
	return lo, hi, ok
}

// frame fixes the axes, after the last Add, which would widen them; no range is
// left empty.
func frame(p *plot.Plot, xlo, xhi, ylo, yhi float64) {
	if xhi <= xlo {
		xlo, xhi = xlo-0.5, xhi+0.5
	}
	if yhi <= ylo {
		yhi = ylo + max(1e-6, math.Abs(ylo)*0.1)
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = xlo, xhi, ylo, yhi
}

var dashes = []vg.Length{px(5), px(4)}

func pointAt(x, y vg.Length) vg.Point { return vg.Point{X: x, Y: y} }
