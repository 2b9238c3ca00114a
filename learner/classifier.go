package learner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"finetune/activations"
	"finetune/augment"
	"finetune/dataset"
	"finetune/head"
	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/home"
	"finetune/internal/rng"
	"finetune/onnx"
)

// Classifier tells the classes of photographs, as trained: the same
// preprocessing, body and head. Make one with OpenClassifier.
//
//	c, err := learner.OpenClassifier("runs/pets", learner.Machine{Device: "auto"}, ui) // or "pets.onnx"
//	defer c.Close()
//	logp, err := c.Predict(ctx, images, n) // images [n, 3, c.Size, c.Size] from c.Load
//
// One goroutine at a time.
type Classifier struct {
	Source    string // the RUN or FILE.onnx, as given
	Classes   []string
	Multi     bool   // several labels an image
	Separator string // between the names of several labels
	Size      int    // pixels a side
	Precision string // float32, float16 or int8
	Body      string // name of the body, for people
	Digest    string // SHA-256 that stands for all that decides the probabilities
	Runtime   onnx.Runtime
	Machine   Machine

	narrow narrowPhotos

	pre      augment.Preprocess
	policy   augment.Policy  // of test-time augmentation
	key      activations.Key // of the cached rows, without its View
	body     activations.Body
	head     *head.Head    // from the body's rows to probabilities; nil if the body gives log-probabilities
	whole    *onnx.Session // of a file that scales and crops photographs itself
	run      *Learner      // nil for an exported file
	selfTest string        // of an exported file, JSON
	closers  []func() error
}

// OpenClassifier opens a run that `finetune train` left, or a file that
// `finetune export` wrote. Of m, an empty field means the default. Owned by the
// caller: the Classifier, freed by Close.
//
// Errors: a path that is neither is failure.Usage; files that do not belong
// together are failure.Data.
func OpenClassifier(path string, m Machine, ui UI) (*Classifier, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, failure.Usage(fmt.Errorf("learner: %w; name a RUN folder or an exported .onnx file", err))
	}
	m = m.withDefaults()
	var c *Classifier
	if info.IsDir() {
		c, err = openRun(path, m, ui)
	} else {
		c, err = openExported(path, m)
	}
	if err != nil {
		return nil, err
	}
	c.Source = path
	ui.Say("classifier %s: %s, %s, %d classes, %d px, digest %.12s", path, c.Body, c.Precision, len(c.Classes), c.Size, c.Digest)
	return c, nil
}

// withDefaults fills empty fields.
func (m Machine) withDefaults() Machine {
	if m.Device == "" {
		m.Device = "auto"
	}
	if m.Threads == 0 {
		m.Threads = runtime.NumCPU()
	}
	if m.Workers == 0 {
		m.Workers = runtime.NumCPU()
	}
	if m.Cache == "" {
		m.Cache = DefaultCache()
	}
	return m
}

// DefaultCache is where features are cached unless --cache says.
func DefaultCache() string { return home.Path("cache") }

// openRun joins the run's body and head as training did.
func openRun(dir string, m Machine, ui UI) (*Classifier, error) {
	config, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, headFile)
	h, meta, err := readHead(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, failure.Usage(fmt.Errorf("learner: %s: training has not finished; go on with `finetune train --run %s --resume`", dir, dir))
	}
	if err != nil {
		return nil, err
	}
	l := &Learner{Config: config, ui: ui}
	l.Config.Machine = m
	l.Config.Body.Name = bodyOf(config.Body)
	if own := tunedBody(dir); own != "" {
		l.Config.Body.Name, l.Config.Body.Digest = own, ""
	}
	if err := l.openBody(); err != nil {
		return nil, fmt.Errorf("%w (the body of %s)", err, dir)
	}
	if got, want := l.Body.Spec.Digest, meta.Body.Digest; got != want {
		return nil, failure.Data(fmt.Errorf("learner: %s: trained on the body %s with digest %.12s, %s has %.12s; put the old file back, or train again", dir, meta.Body.Name, want, l.Body.Path, got))
	}
	if config.Body.Precision == int8Precision {
		if err := l.ownInt8(dir, meta.Body.Int8); err != nil {
			return nil, err
		}
	}
	file, err := digest.File(path)
	if err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	return &Classifier{
		Classes: meta.Classes, Multi: config.Multi, Separator: config.Data.LabelSep, Size: config.Images.Size, Precision: cmp.Or(config.Body.Precision, fullPrecision),
		Body: l.Body.Spec.Name, Digest: digest.Of(file, l.Body.Spec.Digest, l.Config.Body.precision(), l.pre.String()), Runtime: l.Runtime, Machine: l.Config.Machine,
		pre: l.pre, policy: l.policy, key: l.key(""), body: l.lazyBody(), head: h, run: l,
		closers: []func() error{l.Close},
	}, nil
}

// bodyOf is what bodies.Resolve should look for: the file that was used, or
// what it was called if that is gone. The digest decides in the end.
func bodyOf(b BodyConfig) string {
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
func (c *Classifier) Len() int { return c.pre.Len() }

// Load decodes a file's bytes into dst [3, Size, Size]. Errors of the file are
// *augment.DecodeError. Any number of goroutines.
func (c *Classifier) Load(dst []float32, data []byte, l augment.Limits) error {
	if c.whole != nil {
		return c.loadWhole(dst, data, l)
	}
	return c.pre.Load(dst, data, l)
}

// Predict returns log-probabilities [n, len(Classes)] of images [n, 3, Size, Size].
// They are NaN for an image of which the network makes no numbers.
func (c *Classifier) Predict(ctx context.Context, images []float32, n int) ([]float32, error) {
	rows, err := c.rows(ctx, images, n)
	if err != nil {
		return nil, err
	}
	return c.finishRight(rows)
}

// finishRight is finish with NaN for the rows that are wrong.
func (c *Classifier) finishRight(rows [][]float32) ([]float32, error) {
	logp, err := c.finish(rows)
	if err != nil {
		return nil, err
	}
	for i, k := 0, len(c.Classes); i < len(rows); i++ {
		if c.wrong(rows[i], logp[i*k:(i+1)*k]) != "" {
			for j := range k {
				logp[i*k+j] = float32(math.NaN())
			}
		}
	}
	return logp, nil
}

// wrong says what is wrong with what the body and the head make of a photograph.
// The head's ReLU can turn what is no number into 0, so features count as well.
func (c *Classifier) wrong(row, logp []float32) string {
	if c.head != nil {
		if reason := notNumbers(row); reason != "" {
			return reason
		}
	}
	return notProbabilities(c.Multi)(logp)
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

// finish turns the body's rows into log-probabilities [len(rows), classes].
func (c *Classifier) finish(rows [][]float32) ([]float32, error) {
	if c.head != nil {
		return c.head.Predict(rows)
	}
	return slices.Concat(rows...), nil
}

// directBody is the whole classifier as a body whose features are log-probabilities.
type directBody struct {
	c  *Classifier
	mu sync.Mutex // guards the head
}

// Features implements activations.Body.
func (b *directBody) Features() int { return len(b.c.Classes) }

// Run implements activations.Body.
func (b *directBody) Run(ctx context.Context, images []float32, n int, out []float32) error {
	rows, err := b.c.rows(ctx, images, n)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	logp, err := b.c.finishRight(rows)
	copy(out, logp)
	return err
}

// Wrong implements activations.Judge.
func (b *directBody) Wrong(row []float32) string { return notProbabilities(b.c.Multi)(row) }

// load makes one view of a photograph: the centre for k < 0, else augmented
// view k as Learner.TTA draws it.
func (c *Classifier) load(ctx context.Context, k int) activations.Load {
	limits := c.limits(ctx)
	if k < 0 {
		limits.Narrow = c.narrow.note
	}
	return func(dst []float32, data []byte, it dataset.Item) error {
		if k < 0 {
			return c.Load(dst, data, limits)
		}
		im, err := augment.Decode(data, limits)
		if err != nil {
			return err
		}
		return c.pre.Augmented(dst, im, c.policy, viewDraws(k, it.Digest))
	}
}

// viewDraws names the random stream of view k of the file with the digest.
func viewDraws(k int, digest string) *rng.Stream {
	return rng.New(rng.Text("augment"), uint64(k), rng.Text(digest))
}

// view names view k in the key of the cache.
func (c *Classifier) view(k int) string {
	if k < 0 {
		return centreView
	}
	return fmt.Sprintf("%s/view%d", c.policy, k)
}
