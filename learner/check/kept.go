package check

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"finetune/activations"
	"finetune/augment/picture"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/home"
	"finetune/learner/features"
	"finetune/learner/runs"
)

// format changes when Brief says other things about the same photographs.
const format = 2

// mostKept is the size of a file of findings, in bytes.
const mostKept = 1 << 20

// kept is a file of findings.
type kept struct {
	Format   int            `json:"format"`
	Findings []runs.Finding `json:"findings"`
}

// subject is everything that Brief's findings depend on.
type subject struct {
	Format  int
	Key     activations.Key
	Pixels  int64 // limit of a photograph, which says what is broken
	Classes []string
	Sep     string
	Groups  *runs.Groups
	Splits  [][]photograph
}

type photograph struct {
	Path, Digest string
	Label        int
	Labels       []int
}

// Closing are Brief's findings. They are kept in $FINETUNE_HOME/audits by what they were
// found in, so that the next training on the same photographs has them at once.
func Closing(ctx context.Context, s *features.Setup, f *features.Features) ([]runs.Finding, error) {
	path, err := keptAt(s, f)
	if err != nil {
		return nil, err
	}
	if found, ok := readKept(path); ok {
		return found, nil
	}
	var r *Result
	err = failure.Guard(func() error { // a training that is complete does not end by what is said of its data
		r, err = Brief(ctx, s, f)
		return err
	})
	if err != nil || r == nil {
		return nil, err
	}
	if err := writeKept(path, r.Findings); err != nil {
		s.UI.Warn("what the audit found is not kept, so the next training audits again: %v", err)
	}
	return r.Findings, nil
}

func keptAt(s *features.Setup, f *features.Features) (string, error) {
	about := subject{Format: format, Key: s.Key(features.CentreView), Classes: s.Set.Classes, Sep: s.Config.Data.LabelSep,
		Groups: s.Groups,
		Pixels: cmp.Or(s.Config.Machine.MaxPixels, picture.DefaultMaxPixels)}
	for _, part := range []features.Split{f.Train, f.Valid, f.Test} {
		list := make([]photograph, part.Len())
		for i, it := range part.Items {
			list[i] = photograph{it.Path, it.Digest, it.Label, it.Labels}
		}
		about.Splits = append(about.Splits, list)
	}
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(about); err != nil {
		return "", err
	}
	return home.Path("audits", fmt.Sprintf("%x.json", sum.Sum(nil))), nil
}

// readKept returns what a file keeps; of a file that is absent or damaged, nothing.
func readKept(path string) ([]runs.Finding, bool) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	var k kept
	if json.NewDecoder(io.LimitReader(file, mostKept)).Decode(&k) != nil || k.Format != format {
		return nil, false
	}
	return k.Findings, true
}

// writeKept keeps findings. A home that cannot be written to costs time, not the training.
func writeKept(path string, found []runs.Finding) error {
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = durable.Write(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(kept{format, found}) })
	}
	if errors.Is(err, os.ErrPermission) {
		return nil
	}
	return err
}
