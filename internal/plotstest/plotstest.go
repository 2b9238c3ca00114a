// Package plotstest has data for tests that draw.
package plotstest

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"finetune/internal/rng"
	"finetune/plots"
)

var Breeds = []string{"Abyssinian", "american bulldog", "basset hound", "Staffordshire bull terrier", "Birman",
	"soft-coated wheaten terrier", "pug"}

// Sizes make data for figures.
func Sizes(n, around int) []int {
	s := rng.New(2, uint64(n))
	out := make([]int, n)
	for i := range out {
		out[i] = around/2 + s.Intn(around)
	}
	return out
}

// SomeGains make data for figures.
func SomeGains() plots.Gains {
	return plots.Gains{Steps: []plots.Gain{
		{Step: "Head on cached activations", Right: 1768, N: 2000, Seconds: 21},
		{Step: "Augmentation", Right: 1790, N: 2000, Seconds: 48},
		{Step: "Unfreezing, a rate per layer group", Right: 1866, N: 2000, Seconds: 1260},
		{Step: "Test-time augmentation", Right: 1872, N: 2000, Seconds: 95},
	}}
}

// SomeRates make data for figures.
func SomeRates() plots.RateSearch {
	f := plots.RateSearch{Suggestion: 0.012, Rule: "a tenth of the rate with the lowest loss"}
	for i := range 120 {
		r := 1e-5 * math.Pow(10, float64(i)/119*6)
		l := 0.25 + 0.55/(1+math.Pow(r/0.01, 1.3)) + 0.08*math.Pow(r/0.4, 1.6)
		f.Rates, f.Losses = append(f.Rates, r), append(f.Losses, l)
	}
	return f
}

// ClassNames make data for figures.
func ClassNames(n int) []string {
	if n == 2 {
		return []string{"ants", "bees"}
	}
	out := make([]string, n)
	for i := range out {
		out[i] = Breeds[i%len(Breeds)]
		if i >= len(Breeds) {
			out[i] += fmt.Sprintf(" %d", i/len(Breeds)+1)
		}
	}
	return out
}

// predictions are right for about nine in ten, and a little too sure.
// Predictions make data for figures.
func Predictions(classes, n int) []plots.Prediction {
	s := rng.New(3, uint64(classes), uint64(n))
	out := make([]plots.Prediction, n)
	for i := range out {
		label := i * classes / n
		logits, total := make([]float64, classes), 0.0
		for c := range logits {
			logits[c] = math.Exp(1.4 * s.Normal())
			if c == label {
				logits[c] *= math.Exp(3.2 + 0.8*math.Log(float64(classes)))
			}
			if c == (label+1)%classes && label%3 == 0 {
				logits[c] *= 4
			}
			total += logits[c]
		}
		lp := make([]float32, classes)
		for c := range lp {
			lp[c] = float32(math.Log(logits[c] / total))
		}
		out[i] = plots.Prediction{Path: fmt.Sprintf("valid/%s/%04d.jpg", ClassNames(classes)[label], i), Label: label,
			LogProbs: lp}
	}
	return out
}

// picture is a sunset that no camera took: it differs with i in colour and shape.
// Picture make data for figures.
func Picture(i int) image.Image {
	w, h := 200, 150
	if i%3 == 2 {
		w, h = 120, 160
	}
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	cx, cy, r := float64(w)*(0.3+0.1*float64(i%5)), float64(h)*0.55, float64(h)*0.22
	for y := range h {
		for x := range w {
			v := uint8(60 + 150*y/h)
			c := color.RGBA{v, uint8(90 + 20*(i%6)), 255 - v, 255}
			if math.Hypot(float64(x)-cx, float64(y)-cy) < r {
				c = color.RGBA{250, uint8(180 + 8*(i%8)), 60, 255}
			}
			if float64(y) > float64(h)*0.7 {
				c = color.RGBA{30, uint8(70 + 10*(i%4)), 50, 255}
			}
			im.SetRGBA(x, y, c)
		}
	}
	return im
}

// Epochs make data for figures.
func Epochs(n int) []plots.Epoch {
	out := make([]plots.Epoch, n)
	for i := range out {
		x := float64(i)
		out[i] = plots.Epoch{Epoch: i + 1, TrainLoss: 0.25 + 0.7*math.Exp(-x/2),
			ValidLoss: 0.28 + 0.35*math.Exp(-x/1.2) + 0.004*x*x,
			Accuracy:  0.94 - 0.25*math.Exp(-x/1.1), Seconds: 1.5}
	}
	return out
}

// Cosine make data for figures.
func Cosine(top float64, cycle, mult, cycles int) []float64 {
	var out []float64
	for range cycles {
		for i := range cycle {
			f := (1 + math.Cos(math.Pi*float64(i)/float64(cycle))) / 2
			if len(out) < 3 {
				f = 0.01
			}
			out = append(out, top*f)
		}
		cycle *= mult
	}
	return out
}

// Falling make data for figures.
func Falling(from, to float64, n int) []float64 {
	s := rng.New(1, uint64(n))
	out := make([]float64, n)
	for i := range out {
		x := float64(i) / float64(n)
		out[i] = (to + (from-to)*math.Exp(-5*x)) * math.Exp(0.25*s.Normal())
	}
	return out
}

// Pictures make data for figures.
func Pictures(n int) []image.Image {
	out := make([]image.Image, n)
	for i := range out {
		out[i] = Picture(i)
	}
	return out
}
