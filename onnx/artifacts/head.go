package artifacts

import (
	"fmt"
	"math"
	"slices"

	"finetune/internal/rng"
	"finetune/onnx/batchnorm"
	"finetune/onnx/headgraph"
)

// Head describes the classifier on a body's features, as head.Config does:
// for each width BatchNormalization, Dropout, Gemm, Relu, and so for the
// classes, without Relu.
type Head struct {
	Hidden  []int
	Drop    []float64 // before each Gemm; nil is .25 for each hidden one, then .5; 0 leaves it out
	Classes int
	Seed    uint64 // names the initial weights, those of head.New
}

func (h Head) check() error {
	if h.Classes < 1 || len(h.Drop) != len(h.Hidden)+1 {
		return fmt.Errorf("artifacts: a head of %d classes with %d dropout rates for %d layers; "+
			"give one class or more and a rate a layer", h.Classes, len(h.Drop), len(h.Hidden)+1)
	}
	for _, p := range h.Drop {
		if !(p >= 0 && p < 1) {
			return fmt.Errorf("artifacts: dropout %v; a probability is at least 0 and below 1", p)
		}
	}
	return nil
}

func (h Head) withDefaults() Head {
	if h.Drop == nil {
		for range h.Hidden {
			h.Drop = append(h.Drop, .25)
		}
		h.Drop = append(h.Drop, .5)
	}
	return h
}

// layers are those of a head on features numbers, with the initial weights of
// head.New: normal ones of variance 2/inputs.
func (h Head) layers(features int64) []headgraph.Layer {
	var layers []headgraph.Layer
	in := int(features)
	for i, out := range append(slices.Clone(h.Hidden), h.Classes) {
		l := headgraph.Layer{
			Norm: batchnorm.Norm{
				Gamma: slices.Repeat([]float32{1}, in), Beta: make([]float32, in),
				Mean: make([]float32, in), Variance: slices.Repeat([]float32{1}, in), Epsilon: batchnorm.Epsilon,
			},
			Drop: h.Drop[i], Weight: make([]float32, out*in), Bias: make([]float32, out),
		}
		s, std := rng.New(h.Seed, rng.Text("head.init"), uint64(i)), math.Sqrt(2/float64(in))
		for j := range l.Weight {
			l.Weight[j] = float32(std * s.Normal())
		}
		layers = append(layers, l)
		in = out
	}
	return layers
}
