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
	trained := headgraph.Inference(layers(e.Head()), e.Head().Config.Multi, opset)
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
