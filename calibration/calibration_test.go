package calibration

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"finetune/internal/rng"
	"finetune/metrics"
)

// drawn are log-probabilities of n rows of logits, and labels that these probabilities give when
// the logits are divided by the temperature.
func drawn(n, classes int, temperature float64) (logp []float32, labels []int) {
	s := rng.New(3)
	for range n {
		z := make([]float64, classes)
		for c := range z {
			z[c] = 4 * s.Normal()
		}
		row := make([]float32, classes)
		for c, v := range softmaxLog(z, 1) {
			row[c] = float32(v)
		}
		u, y := s.Float64(), 0
		for c, v := range softmaxLog(z, temperature) {
			if u -= math.Exp(v); u < 0 {
				y = c
				break
			}
		}
		logp, labels = append(logp, row...), append(labels, y)
	}
	return logp, labels
}

func softmaxLog(z []float64, temperature float64) []float64 {
	total := 0.0
	for _, v := range z {
		total += math.Exp(v / temperature)
	}
	out := make([]float64, len(z))
	for c, v := range z {
		out[c] = v/temperature - math.Log(total)
	}
	return out
}

// Labels that were drawn at a temperature ask for that temperature, and scaling by it leaves no
// more calibration error than chance shows.
func TestTemperatureIsFound(t *testing.T) {
	for _, classes := range []int{2, 5} {
		for _, want := range []float64{.5, 1, 2.5} {
			logp, labels := drawn(20000, classes, want)
			got := Temperature(logp, labels, classes)
			if math.Abs(got/want-1) > .05 {
				t.Errorf("%d classes: temperature %g, drawn at %g", classes, got, want)
			}
			before := metrics.LogLoss(logp, labels, classes)
			raw, _ := Error(logp, labels, classes)
			Scale(logp, classes, false, got)
			after := metrics.LogLoss(logp, labels, classes)
			ece, chance := Error(logp, labels, classes)
			if after > before || ece > 2*chance || want != 1 && raw < 3*chance {
				t.Errorf("%d classes at %g: loss %g, before %g; error %g, before %g, by chance %g", classes, want, after, before,
					ece, raw, chance)
			}
		}
	}
}

// The two classes of a softmax are one sigmoid: both forms agree.
func TestSeveralLabelsAgreeWithTwoClasses(t *testing.T) {
	logp, labels := drawn(2000, 2, 1.7)
	single := Temperature(logp, labels, 2)
	var second, targets []float32
	for i, y := range labels {
		second, targets = append(second, logp[2*i+1]), append(targets, float32(y))
	}
	if multi := MultiTemperature(second, targets, 1); math.Abs(multi/single-1) > 1e-3 {
		t.Errorf("temperature %g of one label, %g of two classes", multi, single)
	}
	Scale(logp, 2, false, 1.7)
	Scale(second, 1, true, 1.7)
	for i, v := range second {
		if math.Abs(float64(v-logp[2*i+1])) > 1e-4*max(1, math.Abs(float64(v))) {
			t.Fatalf("row %d: %g of one label, %g of two classes", i, v, logp[2*i+1])
		}
	}
}

func TestScaleThereAndBack(t *testing.T) {
	logp, _ := drawn(100, 3, 1)
	back := slices.Clone(logp)
	Scale(back, 3, false, 1.9)
	Scale(back, 3, false, 1/1.9)
	for i, v := range back {
		if math.Abs(float64(v-logp[i])) > 1e-4 {
			t.Fatalf("value %d is %g, was %g", i, v, logp[i])
		}
	}
	odd := []float32{float32(math.NaN()), 0, float32(math.Inf(1)), 0, 0, float32(math.Inf(-1))}
	Scale(odd, 2, false, 2)
	if odd[0] == odd[0] || !math.IsInf(float64(odd[2]), 1) || odd[4] != 0 || !math.IsInf(float64(odd[5]), -1) {
		t.Errorf("what is no number became %v", odd)
	}
}

func TestFewRowsAskForNothingExtreme(t *testing.T) {
	if got := Temperature(nil, nil, 2); got != 1 {
		t.Errorf("temperature %g of no rows", got)
	}
	sure := []float32{-1e-3, -7, -1e-3, -7}
	for _, labels := range [][]int{{0, 0}, {1, 1}} {
		if got := Temperature(sure, labels, 2); !(got > .2 && got < 8) {
			t.Errorf("temperature %g of two rows", got)
		}
	}
	if got := MultiTemperature([]float32{0, -200}, []float32{1, 0}, 2); !(got > .1 && got < 8) {
		t.Errorf("temperature %g where probabilities are 0 and 1", got)
	}
}

// Four rows at 80 %, of which two are right: one bin. By chance, want is by the binomial distribution.
func TestErrorByHand(t *testing.T) {
	p, q := float32(math.Log(.8)), float32(math.Log(.2))
	ece, chance := Error([]float32{p, q, p, q, p, q, p, q}, []int{0, 0, 1, 1}, 2)
	if want := .3; math.Abs(ece-want) > 1e-6 {
		t.Errorf("error %g, want %g", ece, want)
	}
	if want := .16384; math.Abs(chance-want) > .03 {
		t.Errorf("by chance %g, want %g", chance, want)
	}
	// Twenty rows at 80 %, ten right, and twenty at 90 %, twenty right: bins of ten, though the order of equals is any.
	var logp []float32
	var labels []int
	for i := range 40 {
		sure, label := .8, i%2
		if i >= 20 {
			sure, label = .9, 0
		}
		logp, labels = append(logp, float32(math.Log(sure)), float32(math.Log(1-sure))), append(labels, label)
	}
	if ece, _ := Error(logp, labels, 2); math.Abs(ece-(.3+.1)/2) > 1e-6 {
		t.Errorf("error %g, want .2", ece)
	}
	if a, b := Error(nil, nil, 2); a != 0 || b != 0 {
		t.Errorf("error %g, %g of no rows", a, b)
	}
}

// Sets hold the true class of new rows as often as asked for, and are no larger than need be.
func TestSetsHoldTheTruth(t *testing.T) {
	logp, labels := drawn(20000, 5, 1.5)
	half := 10000
	limits := NewLimits(logp[:5*half], labels[:half], 5)
	for _, coverage := range []float64{.5, .8, .9, .95, .993} {
		limit, held, p := limits.For(coverage), 0, make([]float32, 5)
		for i := half; i < len(labels); i++ {
			for c := range p {
				p[c] = float32(math.Exp(float64(logp[5*i+c])))
			}
			if slices.Contains(Set(p, limit), labels[i]) {
				held++
			}
		}
		if got := float64(held) / float64(half); math.Abs(got-coverage) > .015 {
			t.Errorf("coverage %g, asked for %g", got, coverage)
		}
	}
}

// Ten rows promise at most 10/11: beyond, every class is in the set.
func TestTooFewRowsPromiseNothing(t *testing.T) {
	logp, labels := drawn(10, 2, 1)
	l := NewLimits(logp, labels, 2)
	if l.For(.9) == 0 || l.For(.91) != 0 || l.For(.995) != 0 {
		t.Errorf("limits %v", l)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	nan := float32(math.NaN())
	for _, bad := range []Limits{{.5}, slices.Repeat(Limits{2}, len(l)), slices.Repeat(Limits{nan}, len(l))} {
		if bad.Check() == nil {
			t.Errorf("%d limits of %g pass", len(bad), bad[0])
		}
	}
}

func Example() {
	log := func(p float64) float32 { return float32(math.Log(p)) }
	var logp []float32 // a model that is right three times of four, and says 99 %
	labels := make([]int, 400)
	for i := range labels {
		logp = append(logp, log(.99), log(.01))
		labels[i] = (i % 4) / 3
	}
	temperature := Temperature(logp, labels, 2)
	Scale(logp, 2, false, temperature)
	fmt.Printf("%.1f: %.2f\n", temperature, math.Exp(float64(logp[0])))
	// Output:
	// 4.1: 0.75
}
