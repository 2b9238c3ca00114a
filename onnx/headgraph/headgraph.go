// Package headgraph writes the head of a classifier, from features to classes,
// as an ONNX graph: with what training changes apart, or folded for prediction.
package headgraph

import (
	"fmt"

	"finetune/onnx/batchnorm"
	"finetune/onnx/graph"
)

// Names of the tensors that enter and leave the graphs.
const (
	Rows             = "rows"              // input: float32 [batch, features]
	Probabilities    = "probabilities"     // output of Inference: float32 [batch, classes]
	LogProbabilities = "log_probabilities" // their logarithms
	Oddness          = "oddness"           // output of Odd: float32 [batch, 1]
)

// Layer is one layer: batch normalisation, dropout, and a linear map. Between
// two layers stands a Relu.
type Layer struct {
	Norm   batchnorm.Norm // of in channels
	Drop   float64        // the probability that a number is dropped, 0 for none
	Weight []float32      // [out, in], row-major
	Bias   []float32      // [out]
}

// size is the number of inputs and outputs of a layer.
func (l Layer) size() (in, out int64) { return int64(len(l.Norm.Gamma)), int64(len(l.Bias)) }

// Training is the head as it trains: Rows to logits, float32 [N, classes], the
// output's name. Its tensors are numbered as in PyTorch's nn.Sequential; those
// that train are listed in the order of use.
func Training(layers []Layer, logits string, opset int64) (m *graph.Model, trainable []string) {
	first, _ := layers[0].size()
	b := graph.NewBuilder("head", opset)
	x := b.Input(Rows, graph.Float32, "N", first)
	number := 0
	for i, l := range layers {
		in, out := l.size()
		name := func(suffix string) string { return fmt.Sprintf("%d.%s", number, suffix) }
		norm := []string{x,
			b.Init(name("weight"), []int64{in}, l.Norm.Gamma), b.Init(name("bias"), []int64{in}, l.Norm.Beta),
			b.Init(name("running_mean"), []int64{in}, l.Norm.Mean),
			b.Init(name("running_var"), []int64{in}, l.Norm.Variance)}
		x = b.Node("BatchNormalization", "", norm, graph.Float("epsilon", float32(l.Norm.Epsilon)),
			graph.Float("momentum", 0.9))
		number++
		if l.Drop > 0 {
			rate := b.Init(name("rate"), nil, []float32{float32(l.Drop)})
			x = b.Node("Dropout", fmt.Sprintf("drop%d", i), []string{x, rate})
			number++
		}
		weight, bias := b.Init(name("weight"), []int64{out, in}, l.Weight), b.Init(name("bias"), []int64{out}, l.Bias)
		trainable = append(trainable, norm[1], norm[2], weight, bias)
		output, last := "", i == len(layers)-1
		if last {
			output = logits
		}
		x = b.Node("Gemm", output, []string{x, weight, bias}, graph.Int("transB", 1))
		number++
		if !last {
			x = b.Node("Relu", "", []string{x})
			number++
		}
	}
	b.Output(x, graph.Float32, "N", len(layers[len(layers)-1].Bias))
	return b.Model(), trainable
}

// Inference is the head as it predicts: Rows to Probabilities and
// LogProbabilities. Each batch normalisation is folded into the linear map
// behind it. With multi the classes do not exclude each other: a sigmoid each
// instead of a softmax over all.
func Inference(layers []Layer, multi bool, opset int64) *graph.Model {
	first, _ := layers[0].size()
	b := graph.NewBuilder("head", opset)
	x := b.Input(Rows, graph.Float32, "batch", first)
	for i, l := range layers {
		in, out := l.size()
		w, bias := l.Norm.IntoNext(l.Weight, l.Bias)
		name := fmt.Sprintf("linear%d", i)
		x = b.Node("Gemm", name, []string{x, b.Init(name+".weight", []int64{out, in}, w),
			b.Init(name+".bias", []int64{out}, bias)}, graph.Int("transB", 1))
		if i < len(layers)-1 {
			x = b.Node("Relu", "", []string{x})
		}
	}
	if multi { // log sigmoid(x) = -softplus(-x)
		b.Node("Sigmoid", Probabilities, []string{x})
		b.Node("Neg", LogProbabilities, []string{b.Node("Softplus", "", []string{b.Node("Neg", "", []string{x})})})
	} else {
		b.Node("Softmax", Probabilities, []string{x}, graph.Int("axis", 1))
		b.Node("LogSoftmax", LogProbabilities, []string{x}, graph.Int("axis", 1))
	}
	classes := len(layers[len(layers)-1].Bias)
	b.Output(Probabilities, graph.Float32, "batch", classes)
	b.Output(LogProbabilities, graph.Float32, "batch", classes)
	return b.Model()
}
