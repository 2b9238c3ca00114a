package compare

import (
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"finetune/internal/rng"
)

// McNemar is the exact two-sided probability that two classifiers of equal accuracy differ as much as they
// do: onlyA and onlyB are the photographs on which one alone is right. It is 1 where they never differ.
// Source: McNemar 1947, in its binomial form.
func McNemar(onlyA, onlyB int) float64 {
	n := onlyA + onlyB
	if n == 0 {
		return 1
	}
	return min(2*distuv.Binomial{N: float64(n), P: .5}.CDF(float64(min(onlyA, onlyB))), 1)
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
