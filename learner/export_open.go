package learner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"finetune/activations"
	"finetune/augment"
	"finetune/internal/colour"
	"finetune/internal/failure"
	"finetune/onnx"
	"finetune/onnx/graph"
)

// maxClasses bounds the list in an exported file's metadata.
const maxClasses = 1 << 16

// openExported opens a file that Export wrote, by its metadata alone.
func openExported(path string, m Machine) (*Classifier, error) {
	library, missing := onnx.FindLibrary(m.Device)
	if missing == nil {
		onnx.Prepare(library) // beside the reading of the model
	}
	model, err := graph.Read(path)
	if err != nil {
		return nil, err
	}
	if err := model.CheckInference(); err != nil {
		return nil, err
	}
	if missing != nil {
		return nil, missing
	}
	rt, err := onnx.Start(library)
	if err != nil {
		return nil, err
	}
	c, err := exported(path, model, m)
	if err == nil && !model.Sealed() {
		err = errors.Join(failure.Data(fmt.Errorf("learner: %s: damaged: no checksum in its metadata; export it again", path)), c.Close())
	}
	if err != nil {
		return nil, err
	}
	c.Runtime = rt
	return c, nil
}

// exported makes a classifier of a model in memory; name stands for it in errors.
func exported(name string, model *graph.Model, m Machine) (*Classifier, error) {
	c, images, err := readDescription(model)
	if err != nil {
		return nil, failure.Usage(fmt.Errorf("learner: %s: %w; give a RUN, or a file that `finetune export RUN` wrote", name, err))
	}
	data, err := model.Bytes()
	if err != nil {
		return nil, err
	}
	if c.Digest, err = model.Digest(); err != nil {
		return nil, err
	}
	o := m.session()
	if images.Whole {
		o.Threads = 1 // photographs come one by one, several at once
	}
	s, err := onnx.OpenBytes(name, data, []string{imageInput}, []string{logOutput}, o)
	if err != nil {
		return nil, err
	}
	c.Source, c.Machine, c.pre, c.Size, c.closers = name, m, images.preprocess(), images.Size, []func() error{s.Close}
	if c.policy, err = augment.ParsePolicy(images.Augment, images.MaxZoom, images.Pad, images.RandomCrop); err == nil {
		c.pre.Depth, err = augment.ParseDepth(images.DepthRange)
	}
	if err == nil {
		err = c.pre.Check()
	}
	if err != nil {
		return nil, errors.Join(failure.Data(fmt.Errorf("learner: %s: %w; export it again", name, err)), s.Close())
	}
	c.key = activations.Key{Body: c.Digest, Cut: logOutput, Preprocess: c.pre.String(), Size: c.Size, Precision: c.Precision}
	if images.Whole {
		c.whole = s
		c.key.Preprocess = "v1 in the graph, jpeg=" + augment.Decoder
		if c.pre.Depth != (augment.Depth{}) {
			c.key.Preprocess += " depth=" + c.pre.Depth.String()
		}
		c.body = wholeBody{classes: len(c.Classes), pixels: c.pre.Len(), multi: c.Multi}
	} else {
		c.body = &frozenBody{session: s, name: name, precision: c.Precision, size: int64(c.Size), features: len(c.Classes), single: scalesBatches(model), multi: &c.Multi,
			fed: newFed(s, m, c.pre.Len(), len(c.Classes), c.Digest)}
	}
	return c, nil
}

// readDescription reads an exported file's metadata.
func readDescription(m *graph.Model) (*Classifier, exportedImages, error) {
	meta := map[string]string{}
	for _, k := range []string{metaClasses, metaPreprocess, metaTask, metaPrecision} {
		v, ok := m.Meta(k)
		if !ok {
			return nil, exportedImages{}, fmt.Errorf("an ONNX file without %s in its metadata", k)
		}
		meta[k] = v
	}
	c := &Classifier{Precision: meta[metaPrecision], Multi: meta[metaTask] == multiLabel}
	c.Separator, _ = m.Meta(metaSeparator)
	c.Body, _ = m.Meta(metaBody)
	c.selfTest, _ = m.Meta(metaSelfTest)
	var images exportedImages
	if err := json.Unmarshal([]byte(meta[metaClasses]), &c.Classes); err != nil {
		return nil, images, fmt.Errorf("%s: %w", metaClasses, err)
	}
	if err := json.Unmarshal([]byte(meta[metaPreprocess]), &images); err != nil {
		return nil, images, fmt.Errorf("%s: %w", metaPreprocess, err)
	}
	if n := len(c.Classes); n < 1 || n > maxClasses {
		return nil, images, fmt.Errorf("%s: %d classes", metaClasses, n)
	}
	if err := colour.Check(images.Mean, images.Std); err != nil {
		return nil, images, fmt.Errorf("%s: %w", metaPreprocess, err)
	}
	return c, images, c.agrees(m)
}

// agrees compares the metadata with the outputs that the graph declares.
func (c *Classifier) agrees(m *graph.Model) error {
	for _, o := range m.Outputs() {
		if o.Name != logOutput {
			continue
		}
		if n := len(o.Shape); n == 2 && o.Shape[1] == int64(len(c.Classes)) {
			return nil
		}
		return fmt.Errorf("output %s has the shape %v for %d classes", logOutput, o.Shape, len(c.Classes))
	}
	return errors.New("no output " + logOutput)
}

// wholeBody takes the results of photographs that loadWhole put into the places
// of their images.
type wholeBody struct {
	classes, pixels int
	multi           bool
}

// Wrong implements activations.Judge.
func (b wholeBody) Wrong(row []float32) string { return notProbabilities(b.multi)(row) }

// Features implements activations.Body.
func (b wholeBody) Features() int { return b.classes }

// Run implements activations.Body.
func (b wholeBody) Run(_ context.Context, images []float32, n int, out []float32) error {
	for i := range n {
		copy(out[i*b.classes:(i+1)*b.classes], images[i*b.pixels:])
	}
	return nil
}

// loadWhole runs a model that scales and crops itself on one photograph, and
// leaves the log-probabilities at the start of dst.
func (c *Classifier) loadWhole(dst []float32, data []byte, l augment.Limits) error {
	l.Depth = c.pre.Depth
	im, err := augment.Decode(data, l)
	if err != nil {
		return err
	}
	return c.runWhole(dst, im)
}
