package features

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
	"finetune/internal/plural"
	"finetune/learner/runs"
	"finetune/onnx/graph"
)

// int8Revision changes when the same photographs make another int8 body.
const int8Revision = 1

// useInt8 makes the body an 8-bit one, calibrated on training photographs. It is
// made once for a body, a preprocessing and these photographs, and kept in
// $FINETUNE_HOME/bodies under a name that stands for all of them.
func (s *Setup) useInt8(ctx context.Context) error {
	items := Evenly(s.Set.Train, CalibrationPhotos)
	path := home.Path("bodies", s.int8Name(items))
	sum, err := int8Digest(path)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			s.UI.Warn("%v; quantising the body again", err)
		}
		if sum, err = s.makeInt8(ctx, path, items); err != nil {
			return err
		}
	}
	b := &s.Config.Body
	if b.Int8 != "" && b.Int8 != sum {
		return failure.Usage(fmt.Errorf("learner: the int8 body of these training photographs is now %.12s, this run "+
			"began with %.12s; put the photographs back, or train again with --overwrite", sum, b.Int8))
	}
	s.UI.Say("int8       %s, digest %.12s, calibrated on %s", path, sum, plural.Count(len(items), "training photograph"))
	b.Int8, s.Int8Path = sum, path
	return nil
}

// int8Name stands for all that an int8 body depends on.
func (s *Setup) int8Name(items []dataset.Item) string {
	parts := []string{fmt.Sprint(int8Revision), s.Body.Spec.Digest, s.Body.Spec.Pooled(), s.Preprocess.String()}
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
	if !m.HasChecksum() {
		return "", failure.Data(fmt.Errorf("learner: %s: damaged: no checksum in its metadata", path))
	}
	return digest.File(path)
}

func (s *Setup) makeInt8(ctx context.Context, path string, items []dataset.Item) (string, error) {
	m, err := s.CheckedModel()
	if err != nil {
		return "", err
	}
	if m, err = QuantizeInt8(ctx, m, s.Preprocess, items, s.Config.Machine, s.UI); err != nil {
		return "", err
	}
	if err := m.AddChecksum(); err != nil {
		return "", err
	}
	if err := m.Write(path); err != nil {
		return "", err
	}
	return digest.File(path)
}

// KeepInt8 copies the int8 body into the run.
func (s *Setup) KeepInt8(r *runs.Run) error {
	data, err := os.ReadFile(s.Int8Path)
	if err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	return durable.WriteFile(r.Path(runs.Int8File), data)
}

// WithInt8 is s with the int8 body that a run kept, whose digest is want.
func (s *Setup) WithInt8(run, want string) (*Setup, error) {
	path := filepath.Join(run, runs.Int8File)
	if got, err := digest.File(path); err != nil || got != want {
		return nil, failure.Data(fmt.Errorf("learner: %s: not the int8 body %.12s that the head was trained on (%s); take "+
			"it from a backup, or write it again with `finetune train --run %s --resume`", path, want, runs.Cause(err), run))
	}
	with := *s
	with.Int8Path = path
	return &with, nil
}

// ErrNotCached stands for features that are not computed now.
var ErrNotCached = errors.New("learner: not all features are cached")

// Evenly picks up to n items evenly.
func Evenly(items []dataset.Item, n int) []dataset.Item {
	if len(items) <= n {
		return items
	}
	out := make([]dataset.Item, n)
	for i := range out {
		out[i] = items[i*len(items)/n]
	}
	return out
}
