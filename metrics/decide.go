package metrics

import "math"

// Best is the most probable class, the first of equals; -1 of none.
func Best(logp []float32) int {
	best := -1
	for c, v := range logp {
		if best < 0 || v > logp[best] {
			best = c
		}
	}
	return best
}

// halfLog is the logarithm of one half as log-probabilities hold it.
const halfLog = float32(-math.Ln2)

// Present reports whether a label of several counts as there: its probability is
// above one half.
func Present(logp float32) bool { return logp > halfLog }

// AllPresent lists the labels that count as there.
func AllPresent(logp []float32) []int {
	var out []int
	for c, v := range logp {
		if Present(v) {
			out = append(out, c)
		}
	}
	return out
}
