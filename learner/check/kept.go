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
const format = 5

// mostKept is the size of a file of findings, in bytes.
const mostKept = 1 << 20

// kept is a file of findings.
type kept struct {
	Format int `json:"format"`
	*runs.Audit
}

// subject is everything that Brief's findings depend on.
type subject struct {
	Format  int
	Key     activations.Key
	Pixels  int64 // limit of a photograph, which says what is broken
	Classes []string
	Sep     string
	Groups  *runs.Groups
	Skipped []runs.Skipped
	Splits  [][]photograph
}

type photograph struct {
	Path, Digest string
	Label        int
	Labels       []int
}

// InRun is Closing, which it keeps in the run for its report. A training does not end by what is wrong with its data.
func InRun(ctx context.Context, s *features.Setup, f *features.Features, r *runs.Run) ([]runs.Finding, error) {
	found, err := Closing(ctx, s, f)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		s.UI.Warn("the data was not audited: %v", err) // an audit can be asked for again
		return nil, nil
	case found == nil:
		return nil, nil
	}
	return found.Findings, r.KeepAudit(found)
}

// Closing is what Brief found, with the worst of each kind; nil of too many photographs. It is kept in
// $FINETUNE_HOME/audits by what it was found in, so that the next training on the same photographs has them at once.
func Closing(ctx context.Context, s *features.Setup, f *features.Features) (*runs.Audit, error) {
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
	found := &runs.Audit{Findings: r.Findings, Sections: r.worst(), Curve: r.Curve}
	if err := writeKept(path, found); err != nil {
		s.UI.Warn("what the audit found is not kept, so the next training audits again: %v", err)
	}
	return found, nil
}

func keptAt(s *features.Setup, f *features.Features) (string, error) {
	about := subject{Format: format, Key: s.Key(features.CentreView), Classes: s.Set.Classes, Sep: s.Config.Data.LabelSep,
		Groups: s.Groups, Skipped: f.Skipped,
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
func readKept(path string) (*runs.Audit, bool) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	var k kept
	if json.NewDecoder(io.LimitReader(file, mostKept)).Decode(&k) != nil || k.Format != format || k.Audit == nil {
		return nil, false
	}
	return k.Audit, true
}

// writeKept keeps findings. A home that cannot be written to costs time, not the training.
func writeKept(path string, found *runs.Audit) error {
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = durable.Write(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(kept{format, found}) })
	}
	if errors.Is(err, os.ErrPermission) {
		return nil
	}
	return err
}
