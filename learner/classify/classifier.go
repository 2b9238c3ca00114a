// Package classify opens a trained run or an exported file. It predicts photographs,
// scores lists of files, and measures accuracy on labelled photographs.
package classify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"

	"finetune/activations"
	"finetune/augment"
	"finetune/augment/picture"
	"finetune/calibration"
	"finetune/dataset"
	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/internal/remote"
	"finetune/internal/rng"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/onnx"
)

// Classifier tells the classes of photographs, as trained: the same
// preprocessing, body and head. Make one with Open.
//
// One goroutine at a time.
type Classifier struct {
	Source    string // the RUN or FILE.onnx, as given
	Classes   []string
	Multi     bool   // several labels an image
	Separator string // between the names of several labels
	Size      int    // pixels a side
	Precision string // float32, float16, bfloat16 or int8
	Body      string // name of the body, for people
	Digest    string // SHA-256 that stands for all that decides the probabilities
	Runtime   onnx.Runtime
	Machine   runs.Machine

	narrow features.NarrowPhotos

	Preprocess augment.Preprocess
	policy     augment.Policy  // of test-time augmentation
	key        activations.Key // of the cached rows, without its View
	body       activations.Body
	Network    network
	Known      runs.Calibration // what held-out training photographs said; zero of an older run or file
	divisor    float64          // of the logits behind what Network says; 0: none
	Trained    *features.Setup  // nil for an exported file
	selfTest   string           // of an exported file, JSON
	closers    []func() error
}

// Open opens a run, also of a bucket, that `finetune train` left, or a file that
// `finetune export` wrote. Of m, an empty field means the default. Owned by the
// caller: the Classifier, freed by Close.
//
// Errors: a path that is neither is failure.Usage; files that do not belong
// together are failure.Data.
func Open(path string, m runs.Machine, ui runs.UI) (*Classifier, error) {
	path, err := remote.Fetch(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist)
	if missing && filepath.Ext(path) == ".onnx" {
		return nil, failure.Usage(fmt.Errorf("learner: %s: there is no such file; name one that `finetune export` wrote, "+
			"or a RUN", path))
	}
	if err != nil && !missing {
		return nil, failure.Usage(fmt.Errorf("learner: %w; name a RUN folder or an exported .onnx file", err))
	}
	m = m.WithDefaults()
	var c *Classifier
	if missing || info.IsDir() { // openRun says what is missing of a run
		c, err = openRun(path, m, ui)
	} else {
		c, err = openExported(path, m)
	}
	if err != nil {
		return nil, err
	}
	c.Source = path
	ui.Say("classifier %s: %s, %s, %s, %d px, digest %.12s", path, c.Body, c.Precision,
		plural.Count(len(c.Classes), "class"), c.Size, c.Digest)
	return c, nil
}

// openRun joins the run's body and head as training did.
func openRun(dir string, m runs.Machine, ui runs.UI) (*Classifier, error) {
	config, err := runs.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, runs.HeadFile)
	h, meta, err := runs.ReadHead(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, failure.Usage(fmt.Errorf("learner: %s: training has not finished; continue with `finetune "+
			"train --run %s --resume`", dir, dir))
	}
	if err != nil {
		return nil, err
	}
	used := config
	used.Machine, used.Body.Name = m, bodyOf(config.Body)
	if own := runs.TunedBody(dir); own != "" {
		used.Body.Name, used.Body.Digest = own, ""
	}
	l, err := features.OpenBody(used, ui)
	if err != nil {
		return nil, fmt.Errorf("%w (the body of %s)", err, dir)
	}
	if got, want := l.Body.Spec.Digest, meta.Body.Digest; got != want {
		return nil, failure.Data(fmt.Errorf("learner: %s: trained on the body %s with digest %.12s, %s has %.12s; put the "+
			"old file back, or train again", dir, meta.Body.Name, want, l.Body.Path, got))
	}
	if config.Body.Precision == runs.Int8 {
		if l, err = l.WithInt8(dir, meta.Body.Int8); err != nil {
			return nil, err
		}
	}
	file, err := digest.File(path)
	if err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	known, err := runs.ReadCalibration(dir)
	if err != nil {
		return nil, err
	}
	if known.Plane != nil && len(known.Plane.Mean) != l.Body.Spec.Features() {
		return nil, failure.Data(fmt.Errorf("learner: %s: features: %d, the body has %d; train again with --overwrite",
			filepath.Join(dir, runs.CalibrationFile), len(known.Plane.Mean), l.Body.Spec.Features()))
	}
	if !known.Nothing() { // an older run keeps its digest
		sum, err := digest.File(filepath.Join(dir, runs.CalibrationFile))
		if err != nil {
			return nil, fmt.Errorf("learner: %w", err)
		}
		file = digest.Of(file, sum)
	}
	return &Classifier{
		Known: known, divisor: known.Temperature,
		Classes: meta.Classes, Multi: config.Multi, Separator: config.Data.LabelSep, Size: config.Images.Size,
		Precision: string(cmp.Or(config.Body.Precision, runs.Float32)),
		Body:      l.Body.Spec.Name, Digest: digest.Of(file, l.Body.Spec.Digest, l.Config.Body.Arithmetic(),
			l.Preprocess.String()), Runtime: l.Runtime, Machine: l.Config.Machine,
		Preprocess: l.Preprocess, policy: l.Policy, key: l.Key(""), body: l.LazyBody(),
		Network: runNetwork{l.Preprocess, h, known.Plane},
		Trained: l,
		closers: []func() error{l.Close},
	}, nil
}

// bodyOf is what bodies.Resolve should look for: the file that was used, or
// what it was called if that is gone. The digest decides in the end.
func bodyOf(b runs.BodyConfig) string {
	if _, err := os.Stat(b.File); err == nil {
		return b.File
	}
	return b.Name
}

// Close frees the models. Twice is fine.
func (c *Classifier) Close() error {
	var errs []error
	for _, f := range c.closers {
		errs = append(errs, f())
	}
	c.closers = nil
	return errors.Join(errs...)
}

// Len is the number of values of one image, 3*Size*Size.
func (c *Classifier) Len() int { return c.Preprocess.Len() }

// Load decodes a file's bytes into dst [3, Size, Size]. Errors of the file are
// *picture.DecodeError. Any number of goroutines.
func (c *Classifier) Load(dst []float32, data []byte, l picture.Limits) error {
	return c.Network.load(dst, data, l)
}

// PredictFile returns the log-probabilities [len(Classes)] of the photograph in a file.
func (c *Classifier) PredictFile(ctx context.Context, path string) ([]float32, error) {
	data, err := reading.File(path, reading.MaxPhoto)
	if err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	image := make([]float32, c.Len())
	if err := c.Load(image, data, c.Limits(ctx)); err != nil {
		return nil, failure.Data(fmt.Errorf("learner: %s: %w", path, err))
	}
	return c.Predict(ctx, image, 1)
}

// Predict returns log-probabilities [n, len(Classes)] of images [n, 3, Size, Size].
// They are NaN for an image of which the network makes no numbers.
func (c *Classifier) Predict(ctx context.Context, images []float32, n int) ([]float32, error) {
	logp, _, err := c.PredictOdd(ctx, images, n)
	return logp, err
}

// PredictOdd is Predict that also says how unlike the training photographs each image is:
// above 1 it is odd. It is nil where the classifier does not know (KnowsOdd).
func (c *Classifier) PredictOdd(ctx context.Context, images []float32, n int) (logp, odd []float32, err error) {
	rows, err := c.rows(ctx, images, n)
	if err != nil {
		return nil, nil, err
	}
	return c.finishRight(rows)
}

// KnowsOdd reports whether the classifier tells how odd a photograph is. Older runs and
// files do not.
func (c *Classifier) KnowsOdd() bool { return c.Known.OddBeyond > 0 }

// width is the length of a row of answers: the classes and, where it is known, the oddness.
func (c *Classifier) width() int {
	if c.KnowsOdd() {
		return len(c.Classes) + 1
	}
	return len(c.Classes)
}

// finishRight is finish with NaN for the rows that are wrong.
func (c *Classifier) finishRight(rows [][]float32) (logp, odd []float32, err error) {
	logp, odd, wrong, err := c.finish(rows)
	if err != nil {
		return nil, nil, err
	}
	for i, k := 0, len(c.Classes); i < len(rows); i++ {
		if wrong[i] != "" {
			for j := range k {
				logp[i*k+j] = float32(math.NaN())
			}
		}
	}
	return logp, odd, nil
}

// finish turns the body's rows into log-probabilities [len(rows), classes], which are as
// sure as the temperature lets them be, into how odd each is, and says what is wrong with
// each, "" for nothing.
func (c *Classifier) finish(rows [][]float32) (logp, odd []float32, wrong []string, err error) {
	if logp, odd, err = c.Network.finish(rows); err != nil {
		return nil, nil, nil, err
	}
	wrong = make([]string, len(rows))
	for i, k := 0, len(c.Classes); i < len(rows); i++ {
		wrong[i] = c.Network.wrong(rows[i], logp[i*k:(i+1)*k])
	}
	if c.divisor > 0 {
		calibration.Scale(logp, len(c.Classes), c.Multi, c.divisor)
	}
	return logp, odd, wrong, nil
}

// Raw has the classifier give probabilities as the head does, without the temperature. It
// changes nothing where there is none.
func (c *Classifier) Raw() {
	switch {
	case c.Known.Temperature == 0:
		return
	case c.Trained != nil:
		c.divisor = 0
	default: // the file divides by it
		c.divisor = 1 / c.Known.Temperature
	}
	c.Known.Temperature, c.Known.Limits = 0, nil
	c.Digest = digest.Of(c.Digest, "raw")
}

// rows is what the body makes of images. Any number of goroutines.
func (c *Classifier) rows(ctx context.Context, images []float32, n int) ([][]float32, error) {
	f := c.body.Features()
	flat := make([]float32, n*f)
	if err := c.body.Run(ctx, images, n, flat); err != nil {
		return nil, err
	}
	rows := make([][]float32, n)
	for i := range rows {
		rows[i] = flat[i*f : (i+1)*f]
	}
	return rows, nil
}

// directBody is the whole classifier as a body whose features are log-probabilities and,
// where it is known, the oddness.
type directBody struct {
	c  *Classifier
	mu sync.Mutex // guards the head
}

// Features implements activations.Body.
func (b *directBody) Features() int { return b.c.width() }

// Run implements activations.Body.
func (b *directBody) Run(ctx context.Context, images []float32, n int, out []float32) error {
	rows, err := b.c.rows(ctx, images, n)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	logp, odd, err := b.c.finishRight(rows)
	k, w := len(b.c.Classes), b.c.width()
	for i := 0; err == nil && i < n; i++ {
		copy(out[i*w:], logp[i*k:(i+1)*k])
		if odd != nil {
			out[i*w+k] = odd[i]
		}
	}
	return err
}

// Wrong implements activations.Judge.
func (b *directBody) Wrong(row []float32) string {
	return features.NotProbabilities(b.c.Multi)(row[:len(b.c.Classes)])
}

// load makes one view of a photograph: the centre for k < 0, else augmented
// view k as training draws it.
func (c *Classifier) load(ctx context.Context, k int) activations.Load {
	limits := c.Limits(ctx)
	if k < 0 {
		limits.Narrow = c.narrow.Note
	}
	return func(dst []float32, data []byte, it dataset.Item) error {
		if k < 0 {
			return c.Load(dst, data, limits)
		}
		im, err := picture.Decode(data, limits)
		if err != nil {
			return err
		}
		return c.Preprocess.Augmented(dst, im, c.policy, viewDraws(k, it.Digest))
	}
}

// viewDraws names the random stream of view k of the file with the digest.
func viewDraws(k int, digest string) *rng.Stream {
	return rng.New(rng.Text("augment"), uint64(k), rng.Text(digest))
}

// view names view k in the key of the cache.
func (c *Classifier) view(k int) string {
	if k < 0 {
		return features.CentreView
	}
	return fmt.Sprintf("%s/view%d", c.policy, k)
}

// Limits is what decoding a photograph may take, and what ends it.
func (c *Classifier) Limits(ctx context.Context) picture.Limits {
	limits := c.Machine.Limits(ctx)
	limits.Depth = c.Preprocess.Depth
	return limits
}

// Feed implements activations.Device.
func (b *directBody) Feed(ctx context.Context) (activations.Feed, error) {
	if d, ok := b.c.body.(activations.Device); ok {
		return d.Feed(ctx)
	}
	return activations.Feed{}, nil
}
