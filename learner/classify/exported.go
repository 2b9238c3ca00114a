package classify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"finetune/activations"
	"finetune/augment"
	"finetune/augment/picture"
	"finetune/internal/colour"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// maxClasses bounds the list in an exported file's metadata.
const maxClasses = 1 << 16

// openExported opens a file that Export wrote, by its metadata alone.
func openExported(path string, m runs.Machine) (*Classifier, error) {
	library, missing := onnx.FindLibrary(m.Device)
	if missing == nil {
		onnx.Prepare(library) // beside the reading of the model
	}
	model, err := graph.Read(path)
	if err != nil {
		return nil, err
	}
	if err := surgery.CheckInference(model); err != nil {
		return nil, err
	}
	if missing != nil {
		return nil, missing
	}
	rt, err := onnx.Start(library)
	if err != nil {
		return nil, err
	}
	c, err := FromModel(path, model, m)
	if err == nil && !model.HasChecksum() {
		err = errors.Join(failure.Data(fmt.Errorf("learner: %s: damaged: no checksum in its metadata; export it again",
			path)), c.Close())
	}
	if err != nil {
		return nil, err
	}
	c.Runtime = rt
	return c, nil
}

// FromModel makes a classifier of a model in memory; name stands for it in errors.
func FromModel(name string, model *graph.Model, m runs.Machine) (*Classifier, error) {
	c, images, err := readDescription(model)
	if err != nil {
		return nil, failure.Usage(fmt.Errorf("learner: %s: %w; give a RUN, or a file that `finetune export RUN` wrote", name,
			err))
	}
	if c.Digest, err = model.Digest(); err != nil {
		return nil, err
	}
	output := LogOutput
	if c.KnowsOdd() {
		output = rowOutput
		if model, err = withRows(model); err != nil {
			return nil, err
		}
	}
	data, err := model.Bytes()
	if err != nil {
		return nil, err
	}
	o := m.Session()
	if images.Whole {
		o.Threads = 1 // photographs come one by one, several at once
	}
	s, err := onnx.OpenBytes(name, data, []string{ImageInput}, []string{output}, o)
	if err != nil {
		return nil, err
	}
	c.Source, c.Machine, c.Preprocess, c.Size, c.closers = name, m, images.Preprocess(), images.Size,
		[]func() error{s.Close}
	if c.policy, err = augment.ParsePolicy(images.Augment, images.MaxZoom, images.Pad, images.RandomCrop); err == nil {
		c.Preprocess.Depth, err = picture.ParseDepth(images.DepthRange)
	}
	if err == nil {
		err = c.Preprocess.Check()
	}
	if err != nil {
		return nil, errors.Join(failure.Data(fmt.Errorf("learner: %s: %w; export it again", name, err)), s.Close())
	}
	c.key = activations.Key{Body: c.Digest, Cut: output, Preprocess: c.Preprocess.String(), Size: c.Size,
		Precision: strings.TrimSpace(c.Precision + " " + onnx.Arithmetic(m.Device, false))}
	if images.Whole {
		c.Network = wholeNetwork{c.Preprocess, s, len(c.Classes), c.width(), c.Multi}
		c.key.Preprocess = "v1 in the graph, jpeg=" + picture.Decoder()
		if c.Preprocess.Depth != (picture.Depth{}) {
			c.key.Preprocess += " depth=" + c.Preprocess.Depth.String()
		}
		c.body = wholeBody{classes: len(c.Classes), width: c.width(), pixels: c.Preprocess.Len(), multi: c.Multi}
	} else {
		c.Network = fileNetwork{c.Preprocess, len(c.Classes), c.Multi}
		c.body = features.NewFileBody(s, model, name, c.Precision, c.Digest, c.Size,
			len(c.Classes), c.width(), &c.Multi, m)
	}
	return c, nil
}

// rowOutput is the tensor that withRows adds.
const rowOutput = "finetune/row"

// withRows is the model with one output, [batch, classes+1]: log-probabilities, then oddness.
func withRows(m *graph.Model) (*graph.Model, error) {
	b := graph.NewBuilder("rows", m.Opset())
	logp, odd := b.Input("logp", graph.Float32, "batch", "classes"), b.Input("odd", graph.Float32, "batch", 1)
	b.Output(b.Node("Concat", rowOutput, []string{logp, odd}, graph.Int("axis", 1)), graph.Float32, "batch", "row")
	return surgery.Join(m, b.Model(), map[string]string{logp: LogOutput, odd: OddOutput}, "")
}

// readDescription reads an exported file's metadata.
func readDescription(m *graph.Model) (*Classifier, InputFormat, error) {
	meta := map[string]string{}
	for _, k := range []string{runs.MetaClasses, MetaPreprocess, MetaTask, MetaPrecision} {
		v, ok := m.Meta(k)
		if !ok {
			return nil, InputFormat{}, fmt.Errorf("an ONNX file without %s in its metadata", k)
		}
		meta[k] = v
	}
	c := &Classifier{Precision: meta[MetaPrecision], Multi: meta[MetaTask] == MultiLabel}
	c.Separator, _ = m.Meta(MetaSeparator)
	c.Body, _ = m.Meta(MetaBody)
	c.selfTest, _ = m.Meta(MetaSelfTest)
	var images InputFormat
	if err := json.Unmarshal([]byte(meta[runs.MetaClasses]), &c.Classes); err != nil {
		return nil, images, fmt.Errorf("%s: %w", runs.MetaClasses, err)
	}
	if err := json.Unmarshal([]byte(meta[MetaPreprocess]), &images); err != nil {
		return nil, images, fmt.Errorf("%s: %w", MetaPreprocess, err)
	}
	if text, ok := m.Meta(MetaKnown); ok {
		err := json.Unmarshal([]byte(text), &c.Known)
		if err == nil {
			err = c.Known.Check()
		}
		if err != nil {
			return nil, images, fmt.Errorf("%s: %w", MetaKnown, err)
		}
	}
	if n := len(c.Classes); n < 1 || n > maxClasses {
		return nil, images, fmt.Errorf("%s: %s", runs.MetaClasses, plural.Count(n, "class"))
	}
	if err := colour.Check(images.Mean, images.Std); err != nil {
		return nil, images, fmt.Errorf("%s: %w", MetaPreprocess, err)
	}
	return c, images, c.agrees(m)
}

// agrees compares the metadata with the outputs that the graph declares.
func (c *Classifier) agrees(m *graph.Model) error {
	for _, o := range m.Outputs() {
		if o.Name != LogOutput {
			continue
		}
		if n := len(o.Shape); n == 2 && o.Shape[1] == int64(len(c.Classes)) {
			return nil
		}
		return fmt.Errorf("output %s has the shape %v for %s", LogOutput, o.Shape, plural.Count(len(c.Classes), "class"))
	}
	return errors.New("no output " + LogOutput)
}

// wholeBody takes the results of photographs that loadWhole put into the places
// of their images.
type wholeBody struct {
	classes, width, pixels int
	multi                  bool
}

// Wrong implements activations.Judge.
func (b wholeBody) Wrong(row []float32) string {
	return features.NotProbabilities(b.multi)(row[:b.classes])
}

// Features implements activations.Body.
func (b wholeBody) Features() int { return b.width }

// Run implements activations.Body.
func (b wholeBody) Run(_ context.Context, images []float32, n int, out []float32) error {
	for i := range n {
		copy(out[i*b.width:(i+1)*b.width], images[i*b.pixels:])
	}
	return nil
}
