package learner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"finetune/dataset"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/reading"
	"finetune/onnx/graph"
	"finetune/onnx/quantize"
	"finetune/onnx/weights"
)

// ExportOptions say how a run becomes one file.
type ExportOptions struct {
	Output    string // .onnx
	Precision string // float32, float16 or int8; "" for the run's own
	Whole     bool   // uint8 photographs of any size in; scaling and cropping in the graph
	Golden    int    // inputs with their probabilities, written to golden.safetensors beside it
}

// ExportReport says what Export wrote and how it compares with the run.
type ExportReport struct {
	Output      string   `json:"output"`
	Digest      string   `json:"digest"`
	Bytes       int64    `json:"bytes"`
	Precision   string   `json:"precision"`
	Photographs int      `json:"photographs"`     // of the proof
	Largest     float64  `json:"max_difference"`  // of a probability
	Mean        float64  `json:"mean_difference"` // of all probabilities
	Flips       int      `json:"label_flips"`
	Bounds      bounds   `json:"bounds"`
	Accuracy    Accuracy `json:"accuracy"`
	Speed       Speed    `json:"images_per_second"`
	Golden      string   `json:"golden,omitempty"`
}

// Accuracy compares the run with the file on the photographs of the proof.
type Accuracy struct {
	Run  float64 `json:"run"`
	File float64 `json:"file"`
}

// Speed compares the run's float32 with the file, inference alone.
type Speed struct {
	Run  float64 `json:"run"`
	File float64 `json:"file"`
}

// bounds are what an export may differ from its run by; beyond, it is refused.
type bounds struct {
	Largest float64 `json:"max_difference"`
	Flips   float64 `json:"label_flips"`   // share of the photographs
	Drop    float64 `json:"accuracy_drop"` // share of the photographs
}

// boundsOf: float32 differs by the order of sums alone; float16 has 11 bits;
// int8 may be far off on single photographs, so the labels decide; another
// resampler moves all pixels a little. Where the run has the same precision, its
// body is in the file as it is, and only sums differ.
func boundsOf(precision, run string, whole bool) bounds {
	if precision == run {
		precision = fullPrecision
	}
	b := map[string]bounds{"float32": {1e-4, 0.002, 0.002}, "float16": {0.05, 0.01, 0.01}, "int8": {1, 0.05, 0.02}}[precision]
	if whole {
		b.Largest, b.Flips, b.Drop = 1, max(b.Flips, 0.03), max(b.Drop, 0.02)
	}
	return b
}

const proofPhotos = 1000 // at most, of the validation set

// Export writes the run as one ONNX file, once it is proven to give the run's
// probabilities on the validation photographs within bounds.
//
// Errors: a difference beyond the bounds, which leaves no file.
func (c *Classifier) Export(ctx context.Context, o ExportOptions, ui UI) (*ExportReport, error) {
	if o.Precision == "" {
		o.Precision = c.Precision
	}
	if err := c.checkExport(o); err != nil {
		return nil, err
	}
	c.Machine.NoTF32, c.run.Config.Machine.NoTF32 = true, true // what the file is proven by holds on any machine
	set, err := c.ownData()
	if err != nil {
		return nil, err
	}
	m, err := c.build(ctx, o, set, ui)
	if err != nil {
		return nil, err
	}
	file, err := exported(o.Output, m, c.Machine)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := file.addSelfTest(ctx, m); err != nil {
		return nil, err
	}
	if err := m.Seal(); err != nil {
		return nil, err
	}
	if file.Digest, err = m.Digest(); err != nil {
		return nil, err
	}
	r, err := c.prove(ctx, file, spread(set.Valid, proofPhotos), boundsOf(o.Precision, c.Precision, o.Whole), ui)
	if err != nil {
		return r, err
	}
	r.Output, r.Precision, r.Digest = o.Output, o.Precision, file.Digest
	return r, c.write(ctx, m, file, set, o, r)
}

func (c *Classifier) checkExport(o ExportOptions) error {
	switch {
	case c.run == nil:
		return failure.Usage(fmt.Errorf("learner: %s: exported already; export the RUN it came from", c.Source))
	case o.Precision != fullPrecision && o.Precision != halfPrecision && o.Precision != int8Precision:
		return failure.Usage(fmt.Errorf("learner: precision %q; choose float32, float16 or int8", o.Precision))
	case c.Precision != fullPrecision && o.Precision != c.Precision:
		return failure.Usage(fmt.Errorf("learner: %s: trained on the features of a body in %s, which the file then has as well; export without --precision, or train again with --body-precision float32", c.Source, c.Precision))
	case o.Whole && (c.pre.Crop == "no" || c.pre.Crop == "noop"):
		return failure.Usage(fmt.Errorf("learner: the crop %q is not made in the graph; export without --uint8", c.pre.Crop))
	case o.Golden < 0 || o.Golden > 1000:
		return failure.Usage(fmt.Errorf("learner: %d golden inputs; 0 to 1000 can be kept", o.Golden))
	}
	return nil
}

// build makes the model in the precision and with the input asked for.
func (c *Classifier) build(ctx context.Context, o ExportOptions, set *dataset.Set, ui UI) (*graph.Model, error) {
	body, err := c.bodyGraph()
	if err != nil {
		return nil, err
	}
	m, err := c.assemble(body)
	if err != nil {
		return nil, err
	}
	switch o.Precision {
	case halfPrecision:
		if c.Precision == halfPrecision {
			break // its body has 16 bits already
		}
		if m, err = halved(m); err != nil {
			return nil, err
		}
	case int8Precision:
		if c.Precision == int8Precision {
			break // its body is in integers already
		}
		if m, err = toInt8(ctx, m, c.exportedImages(false).preprocess(), spread(set.Train, calibrationPhotos), c.Machine, ui); err != nil {
			return nil, err
		}
	}
	if o.Whole {
		if m, err = c.wholeGraph(m); err != nil {
			return nil, err
		}
	}
	m.SetMeta(metaPrecision, o.Precision)
	return m, nil
}

// halved keeps normalisation and softmax in float32.
func halved(m *graph.Model) (*graph.Model, error) {
	m, err := quantize.Fold(m)
	if err != nil {
		return nil, err
	}
	for _, n := range m.Graph.Node {
		if n.Output[0] == probOutput {
			return quantize.Half(m, "normalised", n.Input[0])
		}
	}
	return nil, fmt.Errorf("learner: no output %s", probOutput)
}

// prove compares the file with the run on labelled photographs.
func (c *Classifier) prove(ctx context.Context, file *Classifier, items []dataset.Item, b bounds, ui UI) (*ExportReport, error) {
	run, err := c.predictItems(ctx, items, ScoreOptions{}, ui)
	if err != nil {
		return nil, err
	}
	got, err := file.predictItems(ctx, run.items, ScoreOptions{NoCache: true}, ui)
	if err != nil {
		return nil, err
	}
	if len(run.items) == 0 || len(got.items) != len(run.items) {
		return nil, failure.Data(fmt.Errorf("learner: %s: of %d photographs the run reads %d and the file %d; nothing can be proven", c.Source, len(items), len(run.items), len(got.items)))
	}
	r := &ExportReport{Photographs: len(run.items), Bounds: b}
	r.Largest, r.Mean, r.Flips = difference(run.logp, got.logp, len(c.Classes), c.Multi)
	_, r.Accuracy.Run = measure(run.logp, run.items, len(c.Classes), c.Multi)
	_, r.Accuracy.File = measure(got.logp, run.items, len(c.Classes), c.Multi)
	if r.Speed.Run, err = c.speed(ctx); err != nil {
		return nil, err
	}
	if r.Speed.File, err = file.speed(ctx); err != nil {
		return nil, err
	}
	n := float64(r.Photographs)
	if r.Largest > b.Largest || float64(r.Flips) > math.Ceil(b.Flips*n) || r.Accuracy.Run-r.Accuracy.File > b.Drop {
		return r, fmt.Errorf("learner: %s: not written: on %d validation photographs a probability differs by up to %.2g (bound %g), %d labels flip (bound %.0f), the accuracy goes from %.4f to %.4f (bound %g down); export float32 instead",
			file.Source, r.Photographs, r.Largest, b.Largest, r.Flips, math.Ceil(b.Flips*n), r.Accuracy.Run, r.Accuracy.File, b.Drop)
	}
	return r, nil
}

// difference compares probabilities: the largest and the mean difference, and
// how many rows name other classes.
func difference(a, b []float32, classes int, multi bool) (largest, mean float64, flips int) {
	for i := range a {
		d := math.Abs(math.Exp(float64(a[i])) - math.Exp(float64(b[i])))
		largest, mean = max(largest, d), mean+d/float64(len(a))
	}
	for i := 0; i < len(a); i += classes {
		x, y := a[i:i+classes], b[i:i+classes]
		if !multi && argmax(x) != argmax(y) || multi && fmt.Sprint(above(x)) != fmt.Sprint(above(y)) {
			flips++
		}
	}
	return largest, mean, flips
}

// speed is inference alone in images a second: the best of a few batches.
func (c *Classifier) speed(ctx context.Context) (float64, error) {
	if c.whole != nil {
		return 0, nil // it has no fixed cost: photographs differ in size
	}
	const batch, tries = 16, 6
	x := make([]float32, batch*c.Len())
	for i := range x {
		x[i] = float32(i%251) / 251
	}
	best := 0.0
	for range tries {
		start := time.Now()
		if _, err := c.Predict(ctx, x, batch); err != nil {
			return 0, err
		}
		best = max(best, batch/time.Since(start).Seconds())
	}
	return best, nil
}

// spread picks up to n items evenly.
func spread(items []dataset.Item, n int) []dataset.Item {
	if len(items) <= n {
		return items
	}
	out := make([]dataset.Item, n)
	for i := range out {
		out[i] = items[i*len(items)/n]
	}
	return out
}

// GoldenFile is where the golden inputs of an exported file are kept, beside it.
func GoldenFile(output string) string {
	return filepath.Join(filepath.Dir(output), "golden.safetensors")
}

// write writes the file and, where asked for, its golden inputs.
func (c *Classifier) write(ctx context.Context, m *graph.Model, file *Classifier, set *dataset.Set, o ExportOptions, r *ExportReport) error {
	data, err := m.Bytes()
	if err != nil {
		return err
	}
	r.Bytes = int64(len(data))
	if err := durable.Room(filepath.Dir(o.Output), r.Bytes); err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	if o.Golden > 0 {
		tensors, err := file.golden(ctx, set.Valid, o.Golden)
		if err != nil {
			return err
		}
		r.Golden = GoldenFile(o.Output)
		meta := map[string]string{"model": filepath.Base(o.Output), "sha256": file.Digest, "classes": strings.Join(c.Classes, "\n")}
		if err := writeTensors(r.Golden, tensors, meta); err != nil {
			return err
		}
	}
	return durable.WriteFile(o.Output, data)
}

// golden makes inputs of n photographs and the probabilities that the file
// gives: image and probabilities, or, where sizes differ, image.0, image.1 …
func (c *Classifier) golden(ctx context.Context, items []dataset.Item, n int) ([]weights.Tensor, error) {
	var images []weights.Tensor
	var flat, probabilities []float32
	for _, it := range spread(items, 2*n) {
		if len(images) == n {
			break
		}
		data, err := reading.File(it.File, maxPhoto)
		if failure.System(err) {
			return nil, fmt.Errorf("learner: %w", err)
		}
		if err != nil {
			continue // the proof has named it
		}
		x := make([]float32, c.Len())
		image, err := c.goldenImage(x, data, len(images))
		if err != nil {
			continue
		}
		logp, err := c.Predict(ctx, x, 1)
		if err != nil {
			return nil, err
		}
		images, flat = append(images, image), append(flat, x...)
		for _, v := range logp {
			probabilities = append(probabilities, float32(math.Exp(float64(v))))
		}
	}
	if len(images) == 0 {
		return nil, errors.New("learner: no photograph for golden inputs can be read")
	}
	count := int64(len(images))
	if c.whole == nil {
		images = []weights.Tensor{{Name: imageInput, Shape: []int64{count, 3, int64(c.Size), int64(c.Size)}, Data: flat}}
	}
	return append(images, weights.Tensor{Name: probOutput, Shape: []int64{count, int64(len(c.Classes))}, Data: probabilities}), nil
}
