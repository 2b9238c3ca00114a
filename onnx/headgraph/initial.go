package headgraph

import (
	"fmt"
	"math"
	"slices"

	"finetune/internal/rng"
)

// InitialWeights fills the weights [out, in] of a new head's layer, counted from 0,
// with the normal numbers of variance 2/in that the seed names. A head that trains
// in Go and one that trains as a graph begin with the same.
// Source: He et al. 2015.
func InitialWeights(weights []float32, in int, seed uint64, layer int) {
	s, std := rng.New(seed, rng.Text("head.init"), uint64(layer)), math.Sqrt(2/float64(in))
	for j := range weights {
		weights[j] = float32(std * s.Normal())
	}
}

// UsualDrop is the dropout before each linear layer where none is given: a quarter
// for each hidden layer, half at the end.
func UsualDrop(hidden int) []float64 { return append(slices.Repeat([]float64{.25}, hidden), .5) }

// CheckDrop refuses what is no probability to drop a number.
func CheckDrop(drop []float64) error {
	for _, p := range drop {
		if !(p >= 0 && p < 1) {
			return fmt.Errorf("dropout %v; a probability is at least 0 and below 1", p)
		}
	}
	return nil
}
