package features

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"finetune/activations"
	"finetune/internal/failure"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/quantize"
	"finetune/onnx/surgery"
)

// frozenBody is the body as activations sees it: images in, pooled features out.
type frozenBody struct {
	session         *onnx.Session
	name, precision string
	size            int64
	features        int
	single          bool  // runs one photograph at a time: scalesBatches
	multi           *bool // of an exported file, whose features are log-probabilities: whether of several labels
	classes         int   // of an exported file: the features that are log-probabilities, the first

	fed *fed // nil: as on a processor

	mates     sync.Once // checkMates
	dependent error     // its answer
}

var (
	_ activations.Judge  = (*frozenBody)(nil)
	_ activations.Device = (*frozenBody)(nil)
)

// openFrozen loads the body up to its cut with [max ‖ average] pooling behind it.
func (s *Setup) openFrozen() (*frozenBody, error) {
	m, err := s.FeatureModel()
	if err != nil {
		return nil, err
	}
	data, err := m.Bytes()
	if err != nil {
		return nil, fmt.Errorf("learner: body %s: %w", m.Path, err)
	}
	session, err := onnx.OpenBytes(m.Path, data, []string{m.Graph.Input[0].GetName()}, []string{surgery.FeaturesName},
		s.Config.Session())
	if err != nil {
		return nil, err
	}
	key, features := s.Key(""), s.Body.Spec.Features()
	return &frozenBody{session: session, name: m.Path, precision: string(cmp.Or(s.Config.Body.Precision, runs.Float32)),
		size: int64(key.Size), features: features, single: scalesBatches(m),
		fed: newFed(session, s.Config.Machine, 3*key.Size*key.Size, features, key.Body, key.Cut, key.Precision)}, nil
}

// NewFileBody is the session of an exported file as a body, whose rows begin with
// log-probabilities of several labels or of one. name stands for it in errors.
func NewFileBody(s *onnx.Session, model *graph.Model, name, precision, digest string, size, classes, width int,
	multi *bool, m runs.Machine) activations.Body {
	return &frozenBody{
		session: s, name: name, precision: precision, size: int64(size), features: width, single: scalesBatches(model),
		multi: multi, classes: classes,
		fed: newFed(s, m, 3*size*size, width, digest),
	}
}

// FeatureModel is the body up to its pooled features, in the run's precision.
func (s *Setup) FeatureModel() (*graph.Model, error) {
	if s.Int8Path != "" {
		return graph.Read(s.Int8Path)
	}
	if s.Config.Body.Precision != runs.Float16 {
		return bodies.FeatureModel(s.Body)
	}
	m, err := s.CheckedModel()
	if err != nil {
		return nil, err
	}
	if m, err = quantize.Fold(m); err != nil {
		return nil, err
	}
	return quantize.HalfWhole(m)
}

// CheckedModel is the body up to its pooled features, which ONNX Runtime has looked
// at: it knows what every operator takes, and code that takes a graph apart
// relies on it.
func (s *Setup) CheckedModel() (*graph.Model, error) {
	m, err := bodies.FeatureModel(s.Body)
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
func runRows(ctx context.Context, s *onnx.Session, images []float32, n int, size int64, rows []float32,
	shape ...int64) error {
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
	if b.precision == runs.Float16 {
		return "its activations are beyond float16's 65,504; use float32"
	}
	if b.multi != nil {
		return "its weights are wrong; export the run again"
	}
	return "its weights, or its mean and deviation (--mean, --std), are wrong"
}

// Close frees the session.
func (b *frozenBody) Close() error { return b.session.Close() }

// SharedBody is the one owner of a frozen body: opened by the first that needs it,
// freed by close.
type SharedBody struct {
	mu   sync.Mutex
	body *frozenBody
}

// opened is the body if somebody needed it, else nil.
func (s *SharedBody) opened() *frozenBody {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.body
}

// get opens the body unless it is open.
func (s *SharedBody) get(open func() (*frozenBody, error)) (_ *frozenBody, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.body == nil {
		s.body, err = open()
	}
	return s.body, err
}

func (s *SharedBody) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.body == nil {
		return nil
	}
	b := s.body
	s.body = nil
	return b.Close()
}

// unopened is a body that loads itself when the first photograph needs it, so
// that a run whose features are all cached does not pay for it.
type unopened struct{ s *Setup }

// LazyBody is the body, loaded when the first photograph needs it.
func (s *Setup) LazyBody() activations.Body { return s.lazy() }

func (s *Setup) lazy() *unopened { return &unopened{s} }

// Features implements activations.Body.
func (u *unopened) Features() int { return u.s.Body.Spec.Features() }

// Wrong implements activations.Judge.
func (u *unopened) Wrong(row []float32) string { return NotNumbers(row) }

// Run implements activations.Body.
func (u *unopened) Run(ctx context.Context, images []float32, n int, features []float32) error {
	if u.s.cachedOnly {
		return ErrNotCached
	}
	b, err := u.open()
	if err != nil {
		return err
	}
	return b.Run(ctx, images, n, features)
}

func (u *unopened) open() (*frozenBody, error) { return u.s.Session.get(u.s.openFrozen) }
