package artifacts

import (
	"fmt"
	"slices"

	"finetune/internal/plural"
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
	Seed    uint64 // names the initial weights, as those of head.New

	// Mean and Variance of the features are statistics that stay, of a head without hidden layers; nil for statistics
	// that move with the batches
	Mean, Variance []float32
}

func (h Head) check() error {
	if h.Classes < 1 || len(h.Drop) != len(h.Hidden)+1 {
		return fmt.Errorf("artifacts: a head of %s with %s for %s; "+
			"give one class or more and a rate a layer", plural.Count(h.Classes, "class"),
			plural.Count(len(h.Drop), "dropout rate"), plural.Count(len(h.Hidden)+1, "layer"))
	}
	if err := headgraph.CheckDrop(h.Drop); err != nil {
		return fmt.Errorf("artifacts: %w", err)
	}
	if h.Mean != nil && len(h.Hidden) > 0 {
		return fmt.Errorf("artifacts: statistics that stay are those of the features, and this head has %s behind them",
			plural.Count(len(h.Hidden), "hidden layer"))
	}
	return nil
}

func (h Head) withDefaults() Head {
	if h.Drop == nil {
		h.Drop = headgraph.UsualDrop(len(h.Hidden))
	}
	return h
}

// layers are those of a head on features numbers, with initial weights.
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
		if h.Mean != nil {
			l.Norm.Mean, l.Norm.Variance = h.Mean, h.Variance
		}
		headgraph.InitialWeights(l.Weight, in, h.Seed, i)
		layers = append(layers, l)
		in = out
	}
	return layers
}
