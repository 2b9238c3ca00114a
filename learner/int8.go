package learner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"finetune/dataset"
	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/home"
	"finetune/onnx/graph"
)

// Precisions of a frozen body.
const (
	fullPrecision = "float32"
	halfPrecision = "float16"
	int8Precision = "int8"
)

// int8File is a run's copy of the 8-bit body that it was trained on: without
// the training photographs nobody could make it again.
const int8File = "body-int8.onnx"

// int8Revision changes when the same photographs make another int8 body.
const int8Revision = 1

// precision names the body's arithmetic in the key of the cache.
func (b BodyConfig) precision() string {
	if b.Int8 != "" {
		return b.Precision + " " + b.Int8
	}
	return b.Precision
}

// checkPrecision refuses what a body of fewer bits cannot do. An 8-bit one takes
// the processor, whose kernels it is for.
func (c *Config) checkPrecision() error {
	p := c.Body.Precision
	switch p {
	case "", fullPrecision:
		return nil
	case halfPrecision, int8Precision:
	default:
		return failure.Usage(fmt.Errorf("--body-precision %s: use float32, float16 or int8", p))
	}
	if c.Train.Unfreeze || c.Recipe != nil {
		return failure.Usage(fmt.Errorf("--body-precision %s is for a frozen body; --unfreeze, and a recipe in the end, train it, in float32: leave one of them out", p))
	}
	if p == halfPrecision {
		return nil
	}
	if c.Machine.Device == "cuda" {
		return failure.Usage(errors.New("--body-precision int8 is for processors; leave it out, or --device cuda"))
	}
	c.Machine.Device = "cpu"
	return nil
}

// useInt8 makes the body an 8-bit one, calibrated on training photographs. It is
// made once for a body, a preprocessing and these photographs, and kept in
// $FINETUNE_HOME/bodies under a name that stands for all of them.
func (l *Learner) useInt8(ctx context.Context) error {
	items := spread(l.Set.Train, calibrationPhotos)
	path := home.Path("bodies", l.int8Name(items))
	sum, err := int8Digest(path)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			l.ui.Warn("%v; made again", err)
		}
		if sum, err = l.makeInt8(ctx, path, items); err != nil {
			return err
		}
	}
	b := &l.Config.Body
	if b.Int8 != "" && b.Int8 != sum {
		return failure.Usage(fmt.Errorf("learner: the int8 body of these training photographs is now %.12s, this run began with %.12s; put the photographs back, or train again with --overwrite", sum, b.Int8))
	}
	l.ui.Say("int8       %s, digest %.12s, calibrated on %d training photographs", path, sum, len(items))
	b.Int8, l.int8 = sum, path
	return nil
}

// int8Name stands for all that an int8 body depends on.
func (l *Learner) int8Name(items []dataset.Item) string {
	parts := []string{fmt.Sprint(int8Revision), l.Body.Spec.Digest, l.Body.Spec.Cut, l.pre.String()}
	for _, it := range items {
		sum, _ := digest.File(it.File) // one that cannot be read has no part in it
		parts = append(parts, sum)
	}
	return fmt.Sprintf("int8-%.32s.onnx", digest.Of(parts...))
}

// int8Digest is the SHA-256 of a whole int8 body. Errors wrap os.ErrNotExist
// where there is none.
func int8Digest(path string) (string, error) {
	m, err := graph.Read(path)
	if err != nil {
		return "", err
	}
	if !m.Sealed() {
		return "", failure.Data(fmt.Errorf("learner: %s: damaged: no checksum in its metadata", path))
	}
	return digest.File(path)
}

func (l *Learner) makeInt8(ctx context.Context, path string, items []dataset.Item) (string, error) {
	m, err := l.wellFormed()
	if err != nil {
		return "", err
	}
	if m, err = toInt8(ctx, m, l.pre, items, l.Config.Machine, l.ui); err != nil {
		return "", err
	}
	if err := m.Seal(); err != nil {
		return "", err
	}
	if err := m.Write(path); err != nil {
		return "", err
	}
	return digest.File(path)
}

// keepInt8 copies the int8 body into the run.
func (l *Learner) keepInt8(r *Run) error {
	data, err := os.ReadFile(l.int8)
	if err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	return durable.WriteFile(r.Path(int8File), data)
}

// ownInt8 takes the int8 body that a run kept.
func (l *Learner) ownInt8(run, want string) error {
	path := filepath.Join(run, int8File)
	if got, err := digest.File(path); err != nil || got != want {
		return failure.Data(fmt.Errorf("learner: %s: not the int8 body %.12s that the head was trained on (%s); take it from a backup, or write it again with `finetune train --run %s --resume`", path, want, cause(err), run))
	}
	l.int8 = path
	return nil
}

// errNotCached stands for features that are not computed now.
var errNotCached = errors.New("learner: not all features are cached")

// inFloat32 scores the same training on the float32 features of the same
// photographs, which shows what fewer bits cost; nil where they are not all cached.
func (l *Learner) inFloat32(ctx context.Context, r *Run) (*Score, error) {
	plain, set := *l, *l.Set
	set.Test = nil
	plain.Set, plain.ui, plain.int8, plain.frozen, plain.cachedOnly, plain.Recompute = &set, mute{l.ui}, "", nil, true, false
	plain.Config.Body.Precision, plain.Config.Body.Int8 = fullPrecision, ""
	score, err := plain.trainAndScore(ctx, r)
	if errors.Is(err, errNotCached) {
		l.ui.Say("float32    what %s costs is shown where float32 features are cached: run `finetune precompute %s` with the same flags for body and images, then this training again", l.Config.Body.Precision, l.Config.Data.Path)
		return nil, nil
	}
	return score, err
}

// trainAndScore trains a head as the configuration says and keeps nothing of it.
func (l *Learner) trainAndScore(ctx context.Context, r *Run) (*Score, error) {
	f, err := l.Precompute(ctx)
	if err != nil {
		return nil, err
	}
	t, m, err := l.startFit(ctx, r, f)
	if err != nil {
		return nil, err
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	logp, err := m.predict(ctx)
	if err != nil {
		return nil, err
	}
	score := l.score(logp, f.Valid.items)
	return &score, nil
}

// mute is a UI that keeps still but for progress.
type mute struct{ UI }

func (mute) Say(string, ...any)  {}
func (mute) Warn(string, ...any) {}
func (mute) Header(...string)    {}
func (mute) Row(...string)       {}
