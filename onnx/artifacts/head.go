package artifacts

import (
	"fmt"
	"math"

	"finetune/internal/rng"
	"finetune/onnx/graph"
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
		return fmt.Errorf("artifacts: a head of %d classes with %d dropout rates for %d layers; give one class or more and a rate a layer", h.Classes, len(h.Drop), len(h.Hidden)+1)
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

// model is the head as a graph, rows [N, features] to logits [N, classes], with
// tensors numbered as in PyTorch's nn.Sequential, and the names of those that train.
func (h Head) model(features, opset int64) (m *graph.Model, trainable []string) {
	b := graph.NewBuilder("head", opset)
	x, in, layer := b.Input("rows", graph.Float32, "N", features), features, 0
	fill := func(suffix string, shape []int64, value func() float32) string {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		data := make([]float32, n)
		for i := range data {
			data[i] = value()
		}
		return b.Init(fmt.Sprintf("%d.%s", layer, suffix), shape, data)
	}
	zero, one := func() float32 { return 0 }, func() float32 { return 1 }
	for i, out := range append(append([]int(nil), h.Hidden...), h.Classes) {
		rows := []int64{in}
		norm := []string{x, fill("weight", rows, one), fill("bias", rows, zero), fill("running_mean", rows, zero), fill("running_var", rows, one)}
		trainable = append(trainable, norm[1], norm[2])
		x = b.Node("BatchNormalization", "", norm, graph.Float("epsilon", 1e-5), graph.Float("momentum", 0.9))
		layer++
		if h.Drop[i] > 0 {
			rate := b.Init(fmt.Sprintf("%d.rate", layer), nil, []float32{float32(h.Drop[i])})
			x = b.Node("Dropout", fmt.Sprintf("drop%d", i), []string{x, rate})
			layer++
		}
		s, std := rng.New(h.Seed, rng.Text("head.init"), uint64(i)), math.Sqrt(2/float64(in))
		w := fill("weight", []int64{int64(out), in}, func() float32 { return float32(std * s.Normal()) })
		bias := fill("bias", []int64{int64(out)}, zero)
		trainable = append(trainable, w, bias)
		name := ""
		if i == len(h.Hidden) {
			name = Logits
		}
		x = b.Node("Gemm", name, []string{x, w, bias}, graph.Int("transB", 1))
		layer++
		if i < len(h.Hidden) {
			x = b.Node("Relu", "", []string{x})
			layer++
		}
		in = int64(out)
	}
	b.Output(x, graph.Float32, "N", h.Classes)
	return b.Model(), trainable
}
