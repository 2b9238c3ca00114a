package plots

import (
	"fmt"

	"finetune/metrics"

	"gonum.org/v1/plot/plotter"
)

// bins is the number of probability ranges in reliability curve and histograms.
const bins = 10

// Reliability compares how sure the model was with how often it was right.
type Reliability struct {
	Predictions []Prediction // single-label
	Temperature float64      // that made them of the head's own, which are drawn too; 0: none
	Same        bool         // it was chosen on the same photographs
}

// Draw implements Plot.
func (f Reliability) Draw(w Width) (Figure, error) {
	bs, ece, chance := Calibration(f.Predictions)
	n := len(f.Predictions)
	mean, right := 0.0, 0.0
	for _, b := range bs {
		mean += b.Confidence * float64(b.Rows)
		right += b.Accuracy * float64(b.Rows)
	}
	hd := header{title: "Reliability", note: fmt.Sprintf("Calibration error %.1f points, of which chance alone would "+
		"show %.1f; bars are 95 %% intervals", 100*ece, 100*chance)}
	var before []metrics.Bin
	if f.Temperature > 0 {
		var raw float64
		before, raw, _ = Calibration(WithoutTemperature(f.Predictions, f.Temperature))
		hd.note += fmt.Sprintf(". Grey: without the temperature of %.2f, %.1f points", f.Temperature, 100*raw)
		if f.Same {
			hd.note += ". It was chosen on these photographs"
		}
	}
	if n > 0 {
		gap := 100 * (mean/float64(n) - right/float64(n))
		switch {
		case gap > 1:
			hd.title = fmt.Sprintf("Overconfident by %.1f points on average", gap)
		case gap < -1:
			hd.title = fmt.Sprintf("Underconfident by %.1f points on average", -gap)
		default:
			hd.title = "Well calibrated, within 1 point on average"
		}
	}
	s := newSheet(w, hd, 400)
	if n == 0 {
		return s.nothing("no labelled photographs")
	}
	p := newPlot("", "accuracy (%)")
	diagonal := lineOf(plotter.XYs{{X: 0, Y: 0}, {X: 100, Y: 100}}, soft, 1.2)
	diagonal.Dashes = dashes
	p.Add(diagonal)
	var old plotter.XYs
	for _, b := range before {
		if b.Rows > 0 {
			old = append(old, plotter.XY{X: 100 * b.Confidence, Y: 100 * b.Accuracy})
		}
	}
	p.Add(lineOf(old, soft, 1.2), dotsOf(old, soft, 2.5))
	var firm, few plotter.XYs // bins of at least 5 photographs, and others
	counts := newPlot("probability of the predicted class (%)", "photographs")
	most := 0
	for i, b := range bs {
		counts.Add(barOf(100*float64(i)/bins, 100*float64(i+1)/bins, float64(b.Rows), blue))
		most = max(most, b.Rows)
		if b.Rows == 0 {
			continue
		}
		lo, hi := metrics.Wilson(b.Accuracy, b.Rows)
		x := 100 * b.Confidence
		dot := plotter.XY{X: x, Y: 100 * b.Accuracy}
		if b.Rows < 5 {
			few = append(few, dot)
		} else {
			firm = append(firm, dot)
		}
		p.Add(lineOf(plotter.XYs{{X: x, Y: 100 * lo}, {X: x, Y: 100 * hi}}, pale(blue), 3))
	}
	p.Add(lineOf(firm, blue, 2), dotsOf(firm, blue, 4), dotsOf(few, pale(blue), 3.5))
	frame(p, 0, 100, 0, 100)
	frame(counts, 0, 100, 0, float64(most)*1.08)
	counts.Y.Tick.Marker = ticks{whole: true, most: 3}
	s.stack(p, counts, 0.68)
	return s.figure(fmt.Sprintf("Upper panel: accuracy against probability, with the diagonal of a perfectly "+
		"calibrated model. Lower panel: photographs per bin. Calibration error %.1f points, by chance %.1f.", 100*ece,
		100*chance))
}
