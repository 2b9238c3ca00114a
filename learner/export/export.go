// Package export writes a run as one ONNX file, whose input is a photograph's pixels and
// whose output is probabilities. It keeps the file only if its probabilities agree with those
// of the run on validation photographs.
package export

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"finetune/dataset"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/classify"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/metrics"
	"finetune/onnx/graph"
	"finetune/onnx/quantize"
)

// Options say how a run becomes one file.
type Options struct {
	Output    string // .onnx
	Precision string // float32, float16 or int8; "" for the run's own, float32 of a run in bfloat16
	Whole     bool   // uint8 photographs of any size in; scaling and cropping in the graph
	Golden    int    // inputs with their probabilities, written to golden.safetensors beside it
	Raw       bool   // probabilities as the head gives them, without the temperature
}

// Report says what Export wrote and how it compares with the run.
type Report struct {
	Output      string   `json:"output"`
	Digest      string   `json:"digest"`
	Bytes       int64    `json:"bytes"`
	Precision   string   `json:"precision"`
	Photographs int      `json:"photographs"`     // of the proof
	Largest     float64  `json:"max_difference"`  // of a probability
	Mean        float64  `json:"mean_difference"` // of all probabilities
	Flips       int      `json:"label_flips"`
	Bounds      Bounds   `json:"bounds"`
	Oddness     float64  `json:"oddness_difference"` // largest, of what photographs have up to 2
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

// Bounds are what an export may differ from its run by; beyond, it is refused.
type Bounds struct {
	Largest float64 `json:"max_difference"`
	Flips   float64 `json:"label_flips"`   // share of the photographs
	Drop    float64 `json:"accuracy_drop"` // share of the photographs
}

// boundsOf: float32 differs by the order of sums alone; float16 has 11 bits;
// int8 may be far off on single photographs, so the labels decide; another
// resampler moves all pixels a little. Where the run has the same precision, its
// body is in the file as it is, and only sums differ. A run in bfloat16 rounds to 8
// bits what the file, in float32, does not.
func boundsOf(precision, run string, whole bool) Bounds {
	if precision == run {
		precision = runs.Float32
	}
	b := map[string]Bounds{"float32": {1e-4, 0.002, 0.002}, "float16": {0.05, 0.01, 0.01},
		"int8": {1, 0.05, 0.02}}[precision]
	if run == runs.BFloat16 {
		b.Largest, b.Flips, b.Drop = max(b.Largest, 0.3), max(b.Flips, 0.02), max(b.Drop, 0.01)
	}
	if whole {
		b.Largest, b.Flips, b.Drop = 1, max(b.Flips, 0.03), max(b.Drop, 0.02)
	}
	return b
}

const proofPhotos = 1000 // at most, of the validation set

// exporter writes a run as one file.
type exporter struct {
	*classify.Classifier
	o  Options
	ui runs.UI
}

// Write writes the run in the folder as one ONNX file, once it is proven to give
// the run's probabilities on the validation photographs within bounds.
//
// Errors: a difference beyond the bounds, which leaves no file.
func Write(ctx context.Context, run string, m runs.Machine, o Options, ui runs.UI) (*Report, error) {
	m.NoTF32 = true // what the file is proven by holds on any machine
	c, err := classify.Open(run, m, ui)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if o.Precision == "" {
		o.Precision = c.Precision
		if c.Precision == runs.BFloat16 { // how OpenVINO computes what the body's file has in float32
			o.Precision = runs.Float32
		}
	}
	if o.Raw {
		c.Raw()
	}
	return (&exporter{c, o, ui}).export(ctx)
}

func (e *exporter) export(ctx context.Context) (*Report, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	set, err := e.OwnData()
	if err != nil {
		return nil, err
	}
	m, err := e.build(ctx, set)
	if err != nil {
		return nil, err
	}
	file, err := classify.FromModel(e.o.Output, m, e.Machine)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := addSelfTest(ctx, file, m); err != nil {
		return nil, err
	}
	if err := m.AddChecksum(); err != nil {
		return nil, err
	}
	if file.Digest, err = m.Digest(); err != nil {
		return nil, err
	}
	r, err := e.prove(ctx, file, features.Evenly(set.Valid, proofPhotos), boundsOf(e.o.Precision, e.Precision, e.o.Whole))
	if err != nil {
		return r, err
	}
	r.Output, r.Precision, r.Digest = e.o.Output, e.o.Precision, file.Digest
	return r, e.write(ctx, m, file, set, r)
}

func (e *exporter) check() error {
	o := e.o
	switch {
	case e.Trained == nil:
		return failure.Usage(fmt.Errorf("learner: %s: exported already; export the RUN it came from", e.Source))
	case o.Precision != runs.Float32 && o.Precision != runs.Float16 && o.Precision != runs.Int8:
		return failure.Usage(fmt.Errorf("learner: precision %q; choose float32, float16 or int8", o.Precision))
	case e.Precision != runs.Float32 && e.Precision != runs.BFloat16 && o.Precision != e.Precision:
		return failure.Usage(fmt.Errorf("learner: %s: the head was trained on features of a body in %s, so the "+
			"file must have the same precision; export without --precision, or train again with --body-precision "+
			"float32", e.Source, e.Precision))
	case o.Whole && (e.Preprocess.Resize != 0 || e.Preprocess.Pillow()):
		return failure.Usage(fmt.Errorf("learner: --uint8 scales by nfnt to the size that is cropped, this run was "+
			"prepared otherwise (%s); export without --uint8", e.Preprocess.Words()))
	case o.Whole && (e.Preprocess.Crop == "no" || e.Preprocess.Crop == "noop"):
		return failure.Usage(fmt.Errorf("learner: --uint8 does not support the crop %q; export without --uint8",
			e.Preprocess.Crop))
	case o.Golden < 0 || o.Golden > 1000:
		return failure.Usage(fmt.Errorf("learner: --golden %d: must be from 0 to 1000", o.Golden))
	}
	return nil
}

// build makes the model in the precision and with the input asked for.
func (e *exporter) build(ctx context.Context, set *dataset.Set) (*graph.Model, error) {
	body, err := e.bodyGraph()
	if err != nil {
		return nil, err
	}
	m, err := e.assemble(body)
	if err != nil {
		return nil, err
	}
	switch e.o.Precision {
	case runs.Float16:
		if e.Precision == runs.Float16 {
			break // its body has 16 bits already
		}
		if m, err = halved(m); err != nil {
			return nil, err
		}
	case runs.Int8:
		if e.Precision == runs.Int8 {
			break // its body is in integers already
		}
		if m, err = features.QuantizeInt8(ctx, m, e.InputFormat(false).Preprocess(),
			features.Evenly(set.Train, features.CalibrationPhotos), e.Machine, e.ui); err != nil {
			return nil, err
		}
	}
	if m, err = e.withOddness(m); err != nil {
		return nil, err
	}
	if e.o.Whole {
		if m, err = e.wholeGraph(m); err != nil {
			return nil, err
		}
	}
	m.SetMeta(classify.MetaPrecision, e.o.Precision)
	return m, nil
}

// halved keeps normalisation and softmax in float32.
func halved(m *graph.Model) (*graph.Model, error) {
	m, err := quantize.Fold(m)
	if err != nil {
		return nil, err
	}
	for _, n := range m.Graph.Node {
		if n.Output[0] == classify.ProbOutput {
			return quantize.Half(m, "normalised", n.Input[0])
		}
	}
	return nil, fmt.Errorf("learner: no output %s", classify.ProbOutput)
}

// prove compares the file with the run on labelled photographs.
func (e *exporter) prove(ctx context.Context, file *classify.Classifier, items []dataset.Item,
	b Bounds) (*Report, error) {
	run, err := e.PredictItems(ctx, items, classify.ScoreOptions{}, e.ui)
	if err != nil {
		return nil, err
	}
	got, err := file.PredictItems(ctx, run.Items, classify.ScoreOptions{NoCache: true}, e.ui)
	if err != nil {
		return nil, err
	}
	if len(run.Items) == 0 || len(got.Items) != len(run.Items) {
		return nil, failure.Data(fmt.Errorf("learner: %s: of %s the run reads %d and the file %d; nothing can "+
			"be proven", e.Source, plural.Count(len(items), "photograph"), len(run.Items), len(got.Items)))
	}
	r := &Report{Photographs: len(run.Items), Bounds: b}
	r.Largest, r.Mean, r.Flips = difference(run.Logp, got.Logp, len(e.Classes), e.Multi)
	for i, v := range run.Odd {
		if d := math.Abs(float64(v - got.Odd[i])); v < 2 {
			r.Oddness = max(r.Oddness, d)
		}
	}
	r.Accuracy.Run = runs.Measure(run.Logp, run.Items, len(e.Classes), e.Multi).Accuracy
	r.Accuracy.File = runs.Measure(got.Logp, run.Items, len(e.Classes), e.Multi).Accuracy
	if r.Speed.Run, err = speed(ctx, e.Classifier); err != nil {
		return nil, err
	}
	if r.Speed.File, err = speed(ctx, file); err != nil {
		return nil, err
	}
	n := float64(r.Photographs)
	if r.Largest > b.Largest || float64(r.Flips) > math.Ceil(b.Flips*n) || r.Accuracy.Run-r.Accuracy.File > b.Drop {
		return r, fmt.Errorf("learner: %s: not written, because it differs too much from the run on %s: "+
			"probabilities by up to %.2g (limit %g), %s (limit %.0f), accuracy from %.4f "+
			"to %.4f (limit %g lower); %s",
			file.Source, plural.Count(r.Photographs, "validation photograph"), r.Largest, b.Largest,
			plural.Count(r.Flips, "prediction"), math.Ceil(b.Flips*n),
			r.Accuracy.Run, r.Accuracy.File, b.Drop, instead(e.o, e.Precision))
	}
	return r, nil
}

// instead is what to do where an export differs from its run, which computes in precision, beyond the bounds.
func instead(o Options, precision string) string {
	switch {
	case o.Whole:
		return "export without --uint8, and scale photographs in the program that uses the file"
	case o.Precision != precision:
		return "export with --precision " + precision
	}
	return "train the run again"
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
		if !multi && metrics.Best(x) != metrics.Best(y) ||
			multi && fmt.Sprint(metrics.AllPresent(x)) != fmt.Sprint(metrics.AllPresent(y)) {
			flips++
		}
	}
	return largest, mean, flips
}

// speed is inference alone in images a second: the best of a few batches.
func speed(ctx context.Context, c *classify.Classifier) (float64, error) {
	if c.TakesPhotographs() {
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

// write writes the file and, where asked for, its golden inputs.
func (e *exporter) write(ctx context.Context, m *graph.Model, file *classify.Classifier, set *dataset.Set,
	r *Report) error {
	o := e.o
	data, err := m.Bytes()
	if err != nil {
		return err
	}
	r.Bytes = int64(len(data))
	if err := durable.Room(filepath.Dir(o.Output), r.Bytes); err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	if o.Golden > 0 {
		tensors, err := golden(ctx, file, set.Valid, o.Golden)
		if err != nil {
			return err
		}
		r.Golden = GoldenFile(o.Output)
		meta := map[string]string{"model": filepath.Base(o.Output), "sha256": file.Digest,
			"classes": strings.Join(e.Classes, "\n")}
		if err := runs.WriteTensors(r.Golden, tensors, meta); err != nil {
			return err
		}
	}
	return durable.WriteFile(o.Output, data)
}
