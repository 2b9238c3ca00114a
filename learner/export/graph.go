package export

import (
	"encoding/json"
	"fmt"
	"math"

	"finetune/augment"
	"finetune/head"
	"finetune/learner/classify"
	"finetune/learner/runs"
	"finetune/onnx/graph"
)

// assemble joins normalisation, body and head into one model:
//
//	image float32 [batch, 3, size, size], RGB, 0 to 1 -> probabilities, log_probabilities [batch, classes]
func (e *exporter) assemble(features *graph.Model) (*graph.Model, error) {
	opset := features.Opset()
	front := graph.NewBuilder("finetune", opset)
	x := front.Input(classify.ImageInput, graph.Float32, "batch", 3, e.Size, e.Size)
	front.Output(normalise(front, x, e.Preprocess), graph.Float32, "batch", 3, e.Size, e.Size)
	m, err := graph.Join(front.Model(), features, map[string]string{features.Graph.Input[0].GetName(): "normalised"},
		"body/")
	if err != nil {
		return nil, err
	}
	m, err = graph.Join(m, headGraph(e.Head(), opset), map[string]string{"rows": graph.FeaturesName}, "head/")
	if err != nil {
		return nil, err
	}
	return m, e.describe(m, false)
}

// normalise computes (x-mean)/std as augment.Preprocess does, to the same bits.
func normalise(b *graph.Builder, x string, p augment.Preprocess) string {
	mean := b.Init("mean", []int64{3, 1, 1}, p.Mean[:])
	std := b.Init("std", []int64{3, 1, 1}, p.Std[:])
	return b.Node("Div", "normalised", []string{b.Node("Sub", "", []string{x, mean}), std})
}

// headGraph is the trained head as a model from "rows" to the two outputs. Each
// BatchNorm is folded into the Linear behind it, in float64:
//
//	W(g(x-m)/s + b) + c = (Wg/s)x + W(b - gm/s) + c, s = sqrt(variance+eps)
func headGraph(h *head.Head, opset int64) *graph.Model {
	b := graph.NewBuilder("head", opset)
	in, classes := int64(h.Config.In), int64(h.Config.Classes)
	x := b.Input("rows", graph.Float32, "batch", in)
	state := h.State() // of each block: gamma, beta, mean, variance, weight, bias
	for i := 0; i*6 < len(state); i++ {
		w, bias := foldNorm(state[i*6 : i*6+6])
		name := fmt.Sprintf("linear%d", i)
		x = b.Node("Gemm", name, []string{x, b.Init(name+".weight", state[i*6+4].Shape, w),
			b.Init(name+".bias", state[i*6+5].Shape, bias)}, graph.Int("transB", 1))
		if (i+1)*6 < len(state) {
			x = b.Node("Relu", "", []string{x})
		}
	}
	if h.Config.Multi { // log sigmoid(x) = -softplus(-x)
		b.Node("Sigmoid", classify.ProbOutput, []string{x})
		b.Node("Neg", classify.LogOutput, []string{b.Node("Softplus", "", []string{b.Node("Neg", "", []string{x})})})
	} else {
		b.Node("Softmax", classify.ProbOutput, []string{x}, graph.Int("axis", 1))
		b.Node("LogSoftmax", classify.LogOutput, []string{x}, graph.Int("axis", 1))
	}
	b.Output(classify.ProbOutput, graph.Float32, "batch", classes)
	b.Output(classify.LogOutput, graph.Float32, "batch", classes)
	return b.Model()
}

func foldNorm(t []head.Tensor) (weight, bias []float32) {
	const eps = 1e-5 // head.BatchNorm's
	gamma, beta, mean, variance, w, c := t[0].Data, t[1].Data, t[2].Data, t[3].Data, t[4].Data, t[5].Data
	n := len(gamma)
	weight, bias = make([]float32, len(w)), make([]float32, len(c))
	for o := range c {
		sum := float64(c[o])
		for j := range n {
			s := float64(gamma[j]) / math.Sqrt(float64(variance[j])+eps)
			weight[o*n+j] = float32(float64(w[o*n+j]) * s)
			sum += float64(w[o*n+j]) * (float64(beta[j]) - s*float64(mean[j]))
		}
		bias[o] = float32(sum)
	}
	return weight, bias
}

// describe writes what a program that loads the file should know.
func (e *exporter) describe(m *graph.Model, whole bool) error {
	classes, err := json.Marshal(e.Classes)
	if err != nil {
		return fmt.Errorf("learner: %s: %w", e.Source, err)
	}
	images, err := json.Marshal(e.InputFormat(whole))
	if err != nil {
		return fmt.Errorf("learner: %s: %w", e.Source, err)
	}
	task := "single-label"
	if e.Multi {
		task = classify.MultiLabel
		m.SetMeta(classify.MetaSeparator, e.Separator)
	}
	m.SetMeta(runs.MetaClasses, string(classes))
	m.SetMeta(classify.MetaSize, fmt.Sprint(e.Size))
	m.SetMeta(classify.MetaPreprocess, string(images))
	m.SetMeta(classify.MetaTask, task)
	m.SetMeta(classify.MetaBody, e.Body)
	m.SetMeta(classify.MetaBodyDigest, e.Trained.Body.Spec.Digest)
	m.SetMeta(classify.MetaPrecision, "float32")
	return nil
}

// bodyGraph is the run's body up to its pooled features.
func (e *exporter) bodyGraph() (*graph.Model, error) { return e.Trained.FeatureModel() }
