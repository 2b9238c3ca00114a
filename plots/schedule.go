package plots

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"

	"finetune/internal/plural"
)

// Schedule is the learning rate of every training step, a curve per layer
// group, and the momentum in a second panel if it moved.
type Schedule struct {
	Groups   []string    // names of the layer groups
	Rates    [][]float64 // [groups][steps]
	Momentum []float64   // [steps]; may be nil
}

// Draw implements Plot.
func (f Schedule) Draw(w Width) (Figure, error) {
	f = f.merged()
	hd := header{title: f.finding()}
	if len(f.Rates) > 1 {
		for g := range f.Rates {
			hd.key = append(hd.key, swatch{series[g%len(series)], f.group(g)})
		}
	}
	moved := moves(f.Momentum)
	height := 250.0
	if moved {
		height = 380
	}
	s := newSheet(w, hd, height)
	lo, hi, ok := span(f.Rates...)
	if !ok {
		return s.nothing("no steps recorded")
	}
	rate, steps := f.rates(hi)
	if !moved {
		rate.Draw(s.body())
		return s.figure(fmt.Sprintf("Learning rate against training step, %s to %s over %s.", Short(lo), Short(hi),
			CountOf(int(steps), "step")))
	}
	mom := newPlot("training step", "momentum")
	mom.Add(lineOf(curve(counted(len(f.Momentum)), f.Momentum, 2000), pink, 1.8))
	mlo, mhi, _ := span(f.Momentum)
	frame(mom, 1, steps, max(0, mlo-0.1*(mhi-mlo)), mhi+0.1*(mhi-mlo))
	mom.X.Tick.Marker = ticks{whole: true}
	mom.Y.Tick.Marker = ticks{most: 4}
	s.stack(rate, mom, 0.62)
	return s.figure(fmt.Sprintf("Upper panel: learning rate, %s to %s over %s. Lower panel: momentum, %s to %s.",
		Short(lo), Short(hi), CountOf(int(steps), "step"), Short(mlo), Short(mhi)))
}

// rates plots a curve per group, on a log scale where the groups' highest rates
// lie far apart: two decades below the slowest are then enough.
func (f Schedule) rates(hi float64) (*plot.Plot, float64) {
	p, steps, least := newPlot("training step", "learning rate"), 1.0, leastTop(f.Rates)
	far := hi/least >= 5
	for g, r := range f.Rates {
		steps = max(steps, float64(len(r)))
		if far {
			r = logs(r, least/1e6) // the frame cuts the rest
		}
		p.Add(lineOf(curve(counted(len(r)), r, 2000), series[g%len(series)], 1.8))
	}
	p.X.Tick.Marker = ticks{whole: true}
	if far {
		p.Y.Label.Text, p.Y.Tick.Marker = "learning rate (log scale)", decades{}
		frame(p, 1, steps, math.Log10(least/100), math.Log10(hi*1.25))
	} else {
		frame(p, 1, steps, 0, hi*1.04)
	}
	return p, steps
}

// merged draws groups of equal rates as one, under all their names: a curve on
// top of another would hide it.
func (f Schedule) merged() Schedule {
	m := Schedule{Momentum: f.Momentum}
	for g, r := range f.Rates {
		same := slices.IndexFunc(m.Rates, func(other []float64) bool { return slices.Equal(other, r) })
		if same >= 0 {
			m.Groups[same] += ", " + f.group(g)
			continue
		}
		m.Groups, m.Rates = append(m.Groups, f.group(g)), append(m.Rates, r)
	}
	return m
}

func (f Schedule) group(g int) string {
	if g < len(f.Groups) {
		return f.Groups[g]
	}
	return fmt.Sprintf("group %d", g+1)
}

// finding names the highest rate and the restarts of the last group.
func (f Schedule) finding() string {
	if len(f.Rates) == 0 || len(f.Rates[len(f.Rates)-1]) == 0 {
		return "Learning rate"
	}
	r := f.Rates[len(f.Rates)-1]
	_, hi, _ := span(r)
	restarts := 0
	for i := 2; i < len(r); i++ {
		if r[i-1] < hi/2 && r[i] > r[i-1]*1.5 && r[i-1] < r[i-2] { // rose after falling
			restarts++
		}
	}
	flat := !moves(r)
	switch {
	case flat:
		return fmt.Sprintf("Learning rate constant at %s for %s", Short(hi), CountOf(len(r), "step"))
	case restarts == 0:
		return fmt.Sprintf("Learning rate up to %s over %s", Short(hi), CountOf(len(r), "step"))
	default:
		return fmt.Sprintf("Learning rate up to %s in %s over %s", Short(hi), plural.Count(restarts+1, "cycle"),
			CountOf(len(r), "step"))
	}
}

func moves(v []float64) bool {
	lo, hi, ok := span(v)
	return ok && hi-lo > 1e-9*math.Abs(hi)
}

// leastTop is the highest rate of the slowest group.
func leastTop(rates [][]float64) float64 {
	least := math.Inf(1)
	for _, r := range rates {
		if _, hi, ok := span(r); ok && hi > 0 {
			least = min(least, hi)
		}
	}
	return least
}

// counted is 1, 2, ... n.
func counted(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(i + 1)
	}
	return x
}
