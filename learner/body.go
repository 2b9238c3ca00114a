package learner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"finetune/activations"
	"finetune/augment"
	"finetune/internal/failure"
	"finetune/onnx"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/quantize"
)

// A processor is used best by several runs of a few photographs, each on one
// thread: none waits for another at the end of an operator, and decoding beside
// them does not hold all of them up.
const runPhotos = 4

// sideBySide is how many runs of a body go on at once.
func (m Machine) sideBySide() int {
	if m.OneRun || onnx.Accelerated(m.Device) {
		return 1
	}
	return m.Threads
}

// session is the options of a session for such runs.
func (m Machine) session() onnx.Options {
	return onnx.Options{Threads: max(m.Threads/m.sideBySide(), 1), Device: m.Device, Exact: m.NoTF32}
}

// fill is the options of filling a cache, or a stream, by such runs.
func (m Machine) fill() activations.FillOptions {
	o := activations.FillOptions{Workers: m.Workers, Runs: m.sideBySide()}
	switch {
	case m.apart():
		o.Runs = runsApart
	case o.Runs > 1:
		o.Batch = runPhotos
	}
	return o
}

// limits is what a decode may take, and what ends it.
func (m Machine) limits(ctx context.Context) augment.Limits {
	return augment.Limits{MaxPixels: m.MaxPixels, Context: ctx}
}

// frozenBody is the body as activations sees it: images in, pooled features out.
type frozenBody struct {
	session         *onnx.Session
	name, precision string
	size            int64
	features        int
	single          bool  // runs one photograph at a time: scalesBatches
	multi           *bool // of an exported file, whose features are log-probabilities: whether of several labels

	fed *fed // nil: as on a processor

	mates     sync.Once // checkMates
	dependent error     // its answer
}

var (
	_ activations.Judge  = (*frozenBody)(nil)
	_ activations.Device = (*frozenBody)(nil)
)

// openFrozen loads the body up to its cut with [max ‖ average] pooling behind it.
func (l *Learner) openFrozen() (*frozenBody, error) {
	m, err := l.featureModel()
	if err != nil {
		return nil, err
	}
	data, err := m.Bytes()
	if err != nil {
		return nil, fmt.Errorf("learner: body %s: %w", m.Path, err)
	}
	s, err := onnx.OpenBytes(m.Path, data, []string{m.Graph.Input[0].GetName()}, []string{graph.FeaturesName}, l.Config.Machine.session())
	if err != nil {
		return nil, err
	}
	key, features := l.key(""), l.Body.Spec.Features()
	return &frozenBody{session: s, name: m.Path, precision: cmp.Or(l.Config.Body.Precision, fullPrecision),
		size: int64(key.Size), features: features, single: scalesBatches(m),
		fed: newFed(s, l.Config.Machine, 3*key.Size*key.Size, features, key.Body, key.Cut, key.Precision)}, nil
}

// featureModel is the body up to its pooled features, in the run's precision.
func (l *Learner) featureModel() (*graph.Model, error) {
	if l.int8 != "" {
		return graph.Read(l.int8)
	}
	if l.Config.Body.Precision != halfPrecision {
		return bodies.FeatureModel(l.Body)
	}
	m, err := l.wellFormed()
	if err != nil {
		return nil, err
	}
	if m, err = quantize.Fold(m); err != nil {
		return nil, err
	}
	return quantize.HalfWhole(m)
}

// wellFormed is the body up to its pooled features, which ONNX Runtime has looked
// at: it knows what every operator takes, and code that takes a graph apart
// relies on it.
func (l *Learner) wellFormed() (*graph.Model, error) {
	m, err := bodies.FeatureModel(l.Body)
	if err != nil {
		return nil, err
	}
	data, err := m.Bytes()
	if err != nil {
		return nil, fmt.Errorf("learner: body %s: %w", m.Path, err)
	}
	if _, _, err := onnx.Describe(data); err != nil {
		return nil, failure.Data(fmt.Errorf("learner: %s: %w", m.Path, err))
	}
	return m, nil
}

// Features implements activations.Body.
func (b *frozenBody) Features() int { return b.features }

// Run implements activations.Body. Rows that are no numbers are left as the
// network gave them, for Wrong to tell: where one is, all are computed alone, so
// that it cannot spoil the others. An error is the network's, not a photograph's.
func (b *frozenBody) Run(ctx context.Context, images []float32, n int, features []float32) error {
	features = features[:n*b.features]
	if b.single {
		if err := b.alone(ctx, images, n, features); err != nil {
			return err
		}
	} else if err := runRows(ctx, b.session, images, n, b.size, features, int64(b.features)); err != nil {
		return err
	}
	if b.anyWrong(features, n) < 0 {
		if b.single || n == 1 {
			return nil
		}
		return b.checkMates(ctx, images, n, features)
	}
	if err := b.checkItself(ctx); err != nil || n == 1 {
		return err
	}
	return b.alone(ctx, images, n, features)
}

// runRows runs a session on n images [n, 3, size, size] and has it write a row
// of the given shape for each into rows.
func runRows(ctx context.Context, s *onnx.Session, images []float32, n int, size int64, rows []float32, shape ...int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	x, err := onnx.Float32(images[:int64(n)*3*size*size], int64(n), 3, size, size)
	if err != nil {
		return err
	}
	defer x.Close()
	each := 1
	for _, d := range shape {
		each *= int(d)
	}
	y, err := onnx.Float32(rows[:n*each], append([]int64{int64(n)}, shape...)...)
	if err != nil {
		return err
	}
	return errors.Join(s.Run([]*onnx.Tensor{x}, []*onnx.Tensor{y}), y.Close())
}

// remedy is for outputs that are not numbers.
func (b *frozenBody) remedy() string {
	if b.precision == halfPrecision {
		return "its activations are beyond float16's 65,504; use float32"
	}
	if b.multi != nil {
		return "its weights are wrong; export the run again"
	}
	return "its weights, or its mean and deviation (--mean, --std), are wrong"
}

// Close frees the session.
func (b *frozenBody) Close() error { return b.session.Close() }

// sharedBody is the body of a learner and of the copies that the steps of a recipe
// work with: opened by the first that needs it, closed by Learner.Close.
type sharedBody struct {
	mu   sync.Mutex
	body *frozenBody
}

// opened is the body if somebody needed it, else nil.
func (s *sharedBody) opened() *frozenBody {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.body
}

// unopened is a body that loads itself when the first photograph needs it, so
// that a run whose features are all cached does not pay for it.
type unopened struct{ l *Learner }

func (l *Learner) lazyBody() *unopened {
	if l.frozen == nil {
		l.frozen = &sharedBody{}
	}
	return &unopened{l}
}

// Features implements activations.Body.
func (u *unopened) Features() int { return u.l.Body.Spec.Features() }

// Wrong implements activations.Judge.
func (u *unopened) Wrong(row []float32) string { return notNumbers(row) }

// Run implements activations.Body.
func (u *unopened) Run(ctx context.Context, images []float32, n int, features []float32) error {
	if u.l.cachedOnly {
		return errNotCached
	}
	b, err := u.open()
	if err != nil {
		return err
	}
	return b.Run(ctx, images, n, features)
}

func (u *unopened) open() (b *frozenBody, err error) {
	shared := u.l.frozen
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.body == nil {
		shared.body, err = u.l.openFrozen()
	}
	return shared.body, err
}
