package learner

import (
	"encoding/json"
	"fmt"
	"math"

	"finetune/augment"
	"finetune/head"
	"finetune/onnx/graph"
)

// Keys of the metadata of an exported file.
const (
	metaClasses    = "finetune.classes"     // JSON list
	metaSize       = "finetune.size"        // pixels a side
	metaPreprocess = "finetune.preprocess"  // JSON, exportedImages
	metaBody       = "finetune.body"        // name, for people
	metaBodyDigest = "finetune.body_digest" // SHA-256 of the body's file
	metaTask       = "finetune.task"        // single-label or multi-label
	metaSeparator  = "finetune.separator"   // between the names of several labels
	metaPrecision  = "finetune.precision"   // float32, float16 or int8
	metaSelfTest   = "finetune.selftest"    // JSON, selfTest
)

// Names of an exported file's tensors.
const (
	imageInput = "image"
	probOutput = "probabilities"
	logOutput  = "log_probabilities"
)

const multiLabel = "multi-label"

// exportedImages is the JSON under finetune.preprocess: what to do to a
// photograph before it becomes the input, and what the file does itself.
type exportedImages struct {
	Input      string     `json:"input"` // "float32 [batch, 3, size, size] RGB 0..1" or "uint8 [1, height, width, 3] RGB"
	Whole      bool       `json:"whole"` // the file scales and crops, too
	Size       int        `json:"size"`
	Resample   string     `json:"resample"`
	Crop       string     `json:"crop"`
	Mean       [3]float32 `json:"mean"` // applied in the file
	Std        [3]float32 `json:"std"`
	Augment    string     `json:"augment"` // policy of test-time augmentation
	MaxZoom    float64    `json:"max_zoom"`
	Pad        int        `json:"pad"`
	RandomCrop string     `json:"random_crop"`
	DepthRange string     `json:"depth_range,omitempty"`
}

func (c *Classifier) exportedImages(whole bool) exportedImages {
	e := exportedImages{
		Input: fmt.Sprintf("float32 [batch, 3, %d, %d] RGB 0..1", c.Size, c.Size), Whole: whole, Size: c.Size,
		Resample: c.pre.Resample, Crop: c.pre.Crop, Mean: c.pre.Mean, Std: c.pre.Std,
		Augment: c.policy.Name, MaxZoom: c.policy.MaxZoom, Pad: c.policy.Pad, RandomCrop: c.policy.Crop,
		DepthRange: c.pre.Depth.String(),
	}
	if whole {
		e.Input = "uint8 [1, height, width, 3] RGB"
	}
	return e
}

func (e exportedImages) preprocess() augment.Preprocess {
	return augment.Preprocess{Size: e.Size, Std: [3]float32{1, 1, 1}, Resample: e.Resample, Crop: e.Crop}
}

// assemble joins normalisation, body and head into one model:
//
//	image float32 [batch, 3, size, size], RGB, 0 to 1 -> probabilities, log_probabilities [batch, classes]
func (c *Classifier) assemble(features *graph.Model) (*graph.Model, error) {
	opset := features.Opset()
	front := graph.NewBuilder("finetune", opset)
	x := front.Input(imageInput, graph.Float32, "batch", 3, c.Size, c.Size)
	front.Output(normalise(front, x, c.pre), graph.Float32, "batch", 3, c.Size, c.Size)
	m, err := graph.Join(front.Model(), features, map[string]string{features.Graph.Input[0].GetName(): "normalised"}, "body/")
	if err != nil {
		return nil, err
	}
	m, err = graph.Join(m, headGraph(c.head, opset), map[string]string{"rows": graph.FeaturesName}, "head/")
	if err != nil {
		return nil, err
	}
	return m, c.describe(m, false)
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
		x = b.Node("Gemm", name, []string{x, b.Init(name+".weight", state[i*6+4].Shape, w), b.Init(name+".bias", state[i*6+5].Shape, bias)}, graph.Int("transB", 1))
		if (i+1)*6 < len(state) {
			x = b.Node("Relu", "", []string{x})
		}
	}
	if h.Config.Multi { // log sigmoid(x) = -softplus(-x)
		b.Node("Sigmoid", probOutput, []string{x})
		b.Node("Neg", logOutput, []string{b.Node("Softplus", "", []string{b.Node("Neg", "", []string{x})})})
	} else {
		b.Node("Softmax", probOutput, []string{x}, graph.Int("axis", 1))
		b.Node("LogSoftmax", logOutput, []string{x}, graph.Int("axis", 1))
	}
	b.Output(probOutput, graph.Float32, "batch", classes)
	b.Output(logOutput, graph.Float32, "batch", classes)
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
func (c *Classifier) describe(m *graph.Model, whole bool) error {
	classes, err := json.Marshal(c.Classes)
	if err != nil {
		return fmt.Errorf("learner: %s: %w", c.Source, err)
	}
	images, err := json.Marshal(c.exportedImages(whole))
	if err != nil {
		return fmt.Errorf("learner: %s: %w", c.Source, err)
	}
	task := "single-label"
	if c.Multi {
		task = multiLabel
		m.SetMeta(metaSeparator, c.Separator)
	}
	m.SetMeta(metaClasses, string(classes))
	m.SetMeta(metaSize, fmt.Sprint(c.Size))
	m.SetMeta(metaPreprocess, string(images))
	m.SetMeta(metaTask, task)
	m.SetMeta(metaBody, c.Body)
	m.SetMeta(metaBodyDigest, c.run.Body.Spec.Digest)
	m.SetMeta(metaPrecision, "float32")
	return nil
}

// bodyGraph is the run's body up to its pooled features.
func (c *Classifier) bodyGraph() (*graph.Model, error) { return c.run.featureModel() }
