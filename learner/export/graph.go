package export

import (
	"encoding/json"
	"fmt"
	"slices"

	"finetune/augment"
	"finetune/head"
	"finetune/learner/classify"
	"finetune/learner/runs"
	"finetune/onnx/batchnorm"
	"finetune/onnx/graph"
	"finetune/onnx/headgraph"
	"finetune/onnx/quantize"
	"finetune/onnx/surgery"
)

// assemble joins normalisation, body and head into one model:
//
//	image float32 [batch, 3, size, size], RGB, 0 to 1 -> probabilities, log_probabilities [batch, classes]
func (e *exporter) assemble(features *graph.Model) (*graph.Model, error) {
	opset := features.Opset()
	front := graph.NewBuilder("finetune", opset)
	x := front.Input(classify.ImageInput, graph.Float32, "batch", 3, e.Size, e.Size)
	front.Output(normalise(front, x, e.Preprocess), graph.Float32, "batch", 3, e.Size, e.Size)
	m, err := surgery.Join(front.Model(), features, map[string]string{features.Graph.Input[0].GetName(): "normalised"},
		"body/")
	if err != nil {
		return nil, err
	}
	trained := headgraph.Inference(cooled(layers(e.Head()), e.Known.Temperature), e.Head().Config.Multi, opset)
	m, err = surgery.Join(m, trained, map[string]string{headgraph.Rows: surgery.FeaturesName}, "head/")
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

// layers are those of the trained head.
func layers(h *head.Head) []headgraph.Layer {
	const tensors = 6 // of each layer: gamma, beta, mean, variance, weight, bias
	var list []headgraph.Layer
	for t := range slices.Chunk(h.State(), tensors) {
		list = append(list, headgraph.Layer{
			Norm: batchnorm.Norm{Gamma: t[0].Data, Beta: t[1].Data, Mean: t[2].Data, Variance: t[3].Data,
				Epsilon: batchnorm.Epsilon},
			Weight: t[4].Data, Bias: t[5].Data,
		})
	}
	return list
}

// withOddness adds the output oddness, where the run knows it. It reads the pooled features,
// in whichever precision they are, and is itself computed in float32.
func (e *exporter) withOddness(m *graph.Model) (*graph.Model, error) {
	p := e.Known.Plane
	if p == nil {
		return m, nil
	}
	n := int64(len(p.Mean))
	axes, err := quantize.HalfTensor("axes", graph.FloatTensor("axes", []int64{int64(len(p.Axes)) / n, n}, p.Axes))
	if err != nil {
		return nil, fmt.Errorf("learner: %s: oddness: %w", e.Source, err)
	}
	odd := headgraph.Odd(p.Mean, axes, float32(p.Threshold), m.Opset())
	return surgery.Join(m, odd, map[string]string{headgraph.Rows: surgery.FeaturesName}, "odd/")
}

// cooled are layers whose logits are divided by the temperature, 0 for none.
func cooled(list []headgraph.Layer, temperature float64) []headgraph.Layer {
	if temperature == 0 {
		return list
	}
	last := &list[len(list)-1]
	for _, values := range []*[]float32{&last.Weight, &last.Bias} {
		*values = slices.Clone(*values)
		for i, v := range *values {
			(*values)[i] = float32(float64(v) / temperature)
		}
	}
	return list
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
	if !e.Known.Nothing() {
		known, err := json.Marshal(e.Known)
		if err != nil {
			return fmt.Errorf("learner: %s: %w", e.Source, err)
		}
		m.SetMeta(classify.MetaKnown, string(known))
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
