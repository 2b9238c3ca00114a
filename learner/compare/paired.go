package compare

import (
	"math"
	"slices"

	"finetune/internal/rng"
)

// McNemar is the exact two-sided probability that two classifiers of equal accuracy differ as much as they
// do: onlyA and onlyB are the photographs on which one alone is right. It is 1 where they never differ.
// Source: McNemar 1947, in its binomial form.
func McNemar(onlyA, onlyB int) float64 {
	n, k := onlyA+onlyB, min(onlyA, onlyB)
	choose := func(k int) float64 { // the logarithm of n over k
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		return a - b - c
	}
	p := 0.0
	for i := range k + 1 {
		p += math.Exp(choose(i) - float64(n)*math.Ln2)
	}
	return min(2*p, 1)
}

// Draws of a bootstrap: fewer of so many photographs that it would take seconds.
const (
	mostDraws = 10000
	mostDrawn = 50_000_000
)

// DifferenceInterval is a 95 % bootstrap interval of the difference of accuracy, that of the second
// classifier less that of the first, over n photographs of which onlyA and onlyB are right by one alone.
// Photographs are drawn with replacement by the seed; the ends are percentiles (Efron 1979).
func DifferenceInterval(onlyA, onlyB, n int, seed uint64) (lo, hi float64) {
	if n == 0 {
		return 0, 0
	}
	draws := make([]float64, max(min(mostDraws, mostDrawn/n), 200))
	for k := range draws {
		s, sum := rng.New(rng.Text("paired bootstrap"), seed, uint64(k)), 0
		for range n {
			switch i := s.Intn(n); {
			case i < onlyA:
				sum--
			case i < onlyA+onlyB:
				sum++
			}
		}
		draws[k] = float64(sum) / float64(n)
	}
	slices.Sort(draws)
	at := func(share float64) float64 { return draws[int(share*float64(len(draws)-1)+.5)] }
	return at(.025), at(.975)
}
