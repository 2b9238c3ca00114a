package plots

import (
	"fmt"
	"image/color"
	"strings"

	"gonum.org/v1/plot"

	"finetune/internal/plural"
)

// LossByStep is the training loss of every step and its running mean.
type LossByStep struct {
	Loss []float64 // [steps], nats, of one batch each
}

// Draw implements Plot.
func (f LossByStep) Draw(w Width) (Figure, error) {
	mean, window := smoothed(f.Loss)
	hd := header{title: "Training loss by step"}
	if first, last, ok := ends(mean); ok {
		hd.title = fmt.Sprintf("Training loss %s, from %s to %s", direction(first, last), Short(first), Short(last))
		hd.key = []swatch{{pale(orange), "each batch"}, {orange,
			fmt.Sprintf("running mean, about %s", plural.Count(window, "step"))}}
	}
	if at := firstBad(f.Loss); at >= 0 {
		hd.title = fmt.Sprintf("Training loss is not a number from step %s on", Count(at+1))
	}
	s := newSheet(w, hd, 260)
	_, _, ok := span(f.Loss)
	if !ok {
		return s.nothing("no finite loss recorded")
	}
	p := newPlot("training step", "cross-entropy loss (nats)")
	x := counted(len(f.Loss))
	p.Add(lineOf(curve(x, f.Loss, 2000), pale(orange), 1), lineOf(curve(x, mean, 2000), orange, 2.2))
	frame(p, 1, float64(len(x)), 0, ceiling(f.Loss, mean))
	p.X.Tick.Marker = ticks{whole: true}
	p.Draw(s.body())
	return s.figure(fmt.Sprintf("Loss of each batch and its running mean over %s.", CountOf(len(x), "training step")))
}

// smoothed is the debiased exponential mean of fast.ai, whose window of about
// 50 steps shrinks for runs of fewer than 1000 to a twentieth of the run.
func smoothed(loss []float64) (mean []float64, window int) {
	window = min(50, max(1, len(loss)/20))
	beta := 1 - 1/float64(window)
	mean = make([]float64, len(loss))
	sum, weight := 0.0, 0.0
	for i, v := range loss {
		if finite(v) {
			sum, weight = beta*sum+(1-beta)*v, beta*weight+(1-beta)
		}
		mean[i] = sum / weight
	}
	return mean, window
}

// ceiling leaves out the spikes of single batches: no more than twice the
// highest running mean is shown.
func ceiling(raw, mean []float64) float64 {
	_, hi, _ := span(raw)
	if _, m, ok := span(mean); ok {
		hi = min(hi, 2*m)
	}
	return max(hi*1.05, 1e-6)
}

func pale(c color.NRGBA) color.NRGBA {
	mix := func(v uint8) uint8 { return uint8(255 - (255-int(v))*40/100) }
	return color.NRGBA{mix(c.R), mix(c.G), mix(c.B), 255}
}

// Epoch is a row of a run's history. Values that were not measured are NaN.
type Epoch struct {
	Epoch                          int // from 1
	TrainLoss, ValidLoss, Accuracy float64
	Seconds                        float64
}

// LossByEpoch is the training and validation loss at the end of each epoch.
type LossByEpoch struct{ History []Epoch }

// Draw implements Plot.
func (f LossByEpoch) Draw(w Width) (Figure, error) {
	train := column(f.History, func(e Epoch) float64 { return e.TrainLoss })
	valid := column(f.History, func(e Epoch) float64 { return e.ValidLoss })
	hd := header{title: "Loss by epoch",
		key: []swatch{{orange, "training (with dropout)"}, {blue, "validation (without)"}}}
	if best, v := lowest(valid); best >= 0 {
		at := f.History[best].Epoch
		hd.title = fmt.Sprintf("Validation loss lowest after epoch %d of %d: %s", at, f.History[len(f.History)-1].Epoch,
			Short(v))
	}
	s := newSheet(w, hd, 260)
	_, hi, ok := span(train, valid)
	if !ok {
		return s.nothing("no epochs recorded")
	}
	p := newPlot("epoch", "cross-entropy loss (nats)")
	epochLines(p, f.History, 0, hi*1.08, track{train, orange}, track{valid, blue})
	p.Draw(s.body())
	return s.figure("Training and validation loss against epoch: " + listed(f.History, func(e Epoch) string {
		return Short(e.TrainLoss) + " and " + Short(e.ValidLoss)
	}) + ".")
}

// AccuracyByEpoch is the share of validation photographs that is right after
// each epoch.
type AccuracyByEpoch struct{ History []Epoch }

// Draw implements Plot.
func (f AccuracyByEpoch) Draw(w Width) (Figure, error) {
	acc := column(f.History, func(e Epoch) float64 { return 100 * e.Accuracy })
	hd := header{title: "Accuracy by epoch"}
	if first, last, ok := ends(acc); ok {
		hd.title = fmt.Sprintf("%.1f %% right after the last epoch, %.1f %% after the first", last, first)
		if len(acc) == 1 {
			hd.title = fmt.Sprintf("%.1f %% right after one epoch", last)
		}
	}
	s := newSheet(w, hd, 240)
	lo, hi, ok := span(acc)
	if !ok {
		return s.nothing("no accuracy recorded")
	}
	p := newPlot("epoch", "validation accuracy (%)")
	pad := max(2, (hi-lo)*0.15)
	epochLines(p, f.History, max(0, lo-pad), min(100, hi+pad), track{acc, blue})
	p.Draw(s.body())
	return s.figure("Validation accuracy by epoch, percent: " +
		listed(f.History, func(e Epoch) string { return Short(100 * e.Accuracy) }) + ".")
}

// track is a value per epoch and its colour.
type track struct {
	values []float64
	colour color.Color
}

func epochLines(p *plot.Plot, history []Epoch, ylo, yhi float64, tracks ...track) {
	x := column(history, func(e Epoch) float64 { return float64(e.Epoch) })
	for _, t := range tracks {
		xys := curve(x, t.values, 1000)
		p.Add(lineOf(xys, t.colour, 2))
		if len(xys) <= 60 {
			p.Add(dotsOf(xys, t.colour, 3.5))
		}
	}
	lo, hi, _ := span(x)
	frame(p, lo, hi, ylo, yhi)
	p.X.Tick.Marker = ticks{whole: true}
}

func column(history []Epoch, f func(Epoch) float64) []float64 {
	out := make([]float64, len(history))
	for i, e := range history {
		out[i] = f(e)
	}
	return out
}

// listed names the epochs' values in words, the last ten of many.
func listed(history []Epoch, f func(Epoch) string) string {
	var parts []string
	for _, e := range history[max(0, len(history)-10):] {
		parts = append(parts, fmt.Sprintf("epoch %d, %s", e.Epoch, f(e)))
	}
	return strings.Join(parts, "; ")
}

// ends is the first and the last finite value.
func ends(v []float64) (first, last float64, ok bool) {
	for _, f := range v {
		if finite(f) {
			if !ok {
				first, ok = f, true
			}
			last = f
		}
	}
	return first, last, ok
}

func lowest(v []float64) (at int, value float64) {
	at = -1
	for i, f := range v {
		if finite(f) && (at < 0 || f < value) {
			at, value = i, f
		}
	}
	return at, value
}

func firstBad(v []float64) int {
	for i, f := range v {
		if !finite(f) {
			return i
		}
	}
	return -1
}

func direction(first, last float64) string {
	switch {
	case last < first*0.98:
		return "fell"
	case last > first*1.02:
		return "rose"
	}
	return "did not move"
}
