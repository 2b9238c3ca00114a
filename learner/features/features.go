package features

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"finetune/activations"
	"finetune/augment/picture"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/rng"
	"finetune/learner/runs"
	"finetune/logistic"
	"finetune/onnx"
)

// CentreView names the validation view of a photograph in the cache's key.
const CentreView = "centre"

// Split is one part of the data set with its features.
type Split struct {
	Items []dataset.Item
	Rows  [][]float32 // [len(items)][features]
}

// Data is the split as rows and labels to fit a linear head on.
func (s Split) Data(classes int, multi bool) logistic.Data {
	d := logistic.Data{Rows: s.Rows, Classes: classes, Multi: multi}
	if multi {
		d.Targets = runs.Targets(s.Items, runs.Indices(len(s.Items)), classes)
	} else {
		d.Labels = runs.Labels(s.Items)
	}
	return d
}

// Source gives the rows to train on in an epoch, in the order of its items.
type Source struct {
	Items []dataset.Item
	Rows  func(ctx context.Context, epoch int) ([][]float32, error)
}

// Features are the readable photographs of each split with their centre views.
type Features struct {
	Train, Valid, Test Split
	Aside              Split // of validation, by which nothing is chosen: see Setup.Aside
	Skipped            []runs.Skipped
	Seconds            float64
	Computed           int
	Decode             float64 // core-seconds of reading, hashing and decoding
	Steady             float64 // images a second once the body had loaded; 0 if too few were computed
}

// Len is the number of photographs.
func (s Split) Len() int { return len(s.Items) }

// Precompute makes sure that the features of every photograph are cached and
// returns them. Photographs that cannot be read are left out and listed; more
// than MaxBad of train and valid together is an error.
func (s *Setup) Precompute(ctx context.Context) (*Features, error) {
	f := &Features{}
	parts := []struct {
		name  string
		items []dataset.Item
		into  *Split
	}{{"train", s.Set.Train, &f.Train}, {"valid", s.Set.Valid, &f.Valid}, {"test", s.Set.Test, &f.Test},
		{"aside", s.Set.Aside, &f.Aside}}
	var all []dataset.Item
	for _, p := range parts {
		all = append(all, p.items...)
	}
	rows, report, err := s.view(ctx, all, CentreView, nil)
	if err != nil {
		return nil, err
	}
	f.Seconds, f.Computed, f.Decode, f.Steady = report.Seconds, report.Computed, report.DecodeSeconds, report.Steady
	at, bad := 0, Reasons(report.Skipped)
	for _, p := range parts {
		for _, it := range p.items {
			it.Digest = all[at].Digest
			if rows[at] != nil {
				p.into.Items, p.into.Rows = append(p.into.Items, it), append(p.into.Rows, rows[at])
			} else {
				b := bad[it.Path]
				f.Skipped = append(f.Skipped, runs.Skipped{Split: p.name, Path: it.Path, Status: b.Status, Reason: b.Reason})
			}
			at++
		}
	}
	s.tell(report, len(all), len(f.Skipped))
	s.Narrow.Tell(s.UI)
	if err := s.checkSkipped(f); err != nil {
		return f, err
	}
	if err := s.keepGroups(f); err != nil {
		return f, err
	}
	return f, s.checkLeft(f)
}

// PrecomputeViews caches the augmented views that training and test-time
// augmentation would use, where the configuration asks for augmentation.
func (s *Setup) PrecomputeViews(ctx context.Context, f *Features) error {
	if s.Config.Images.Augment == "none" {
		return nil
	}
	for k := range s.Config.Images.Views {
		for _, part := range []Split{f.Train, f.Valid, f.Test} {
			if _, err := s.AugmentedRows(ctx, part.Items, k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Setup) tell(r activations.Report, items, skipped int) {
	if r.Computed > 0 {
		s.UI.Say("features   %s computed in %.1f s (%.0f images/s), %d from the cache",
			plural.Count(r.Computed, "photograph"), r.Seconds, float64(r.Computed)/r.Seconds, items-r.Computed-skipped)
	} else {
		s.UI.Say("features   all %d from the cache, no inference (%.2f s)", items-skipped, r.Seconds)
	}
}

// checkSkipped warns about unreadable photographs and refuses too many of them.
func (s *Setup) checkSkipped(f *Features) error {
	const shown = 5
	for i, b := range f.Skipped {
		if i == shown {
			s.UI.Warn("and %s, all listed in %s", plural.Count(len(f.Skipped)-shown, "more unreadable photograph"),
				s.listSkipped(f.Skipped))
			break
		}
		s.UI.Warn("%s: %s: %s; skipped", b.Path, b.Status, b.Reason)
	}
	bad := 0
	for _, b := range f.Skipped {
		if b.Split != "test" {
			bad++
		}
	}
	total := len(s.Set.Train) + len(s.Set.Valid)
	if share := float64(bad) / float64(max(total, 1)); bad > 0 && share > s.Config.Data.MaxBad {
		return failure.Data(fmt.Errorf("learner: %s: %d of %s cannot be read, more than --max-bad %g "+
			"allows; repair or remove them (%s: %s)",
			s.Config.Data.Name(), bad, plural.Count(total, "photograph"), s.Config.Data.MaxBad, f.Skipped[0].Path,
			f.Skipped[0].Reason))
	}
	if !s.part && (len(f.Train.Items) == 0 || len(f.Valid.Items) == 0) {
		return failure.Data(fmt.Errorf("learner: %s: no readable photographs are left to train and validate on",
			s.Config.Data.Name()))
	}
	return nil
}

// Reasons finds what is wrong with a photograph by its path.
func Reasons(bad []activations.Bad) map[string]activations.Bad {
	m := make(map[string]activations.Bad, len(bad))
	for _, b := range bad {
		m[b.Path] = b
	}
	return m
}

// view returns the features of items under one view, nil for an unreadable
// photograph, and notes in items what is in each file. draw is nil for the centre view; for an augmented one it names
// the random stream of a photograph.
func (s *Setup) view(ctx context.Context, items []dataset.Item, view string,
	draw func(digest string) *rng.Stream) ([][]float32, activations.Report, error) {
	body := s.lazy()
	if s.Config.Machine.Recompute {
		if err := activations.Drop(s.Config.Machine.Cache, s.Key(view), body.Features()); err != nil {
			return nil, activations.Report{}, err
		}
	}
	cache, err := activations.Open(s.Config.Machine.Cache, s.Key(view), body.Features())
	if err != nil {
		return nil, activations.Report{}, err
	}
	defer cache.Close()
	for _, w := range cache.Warnings() {
		s.UI.Warn("%s", w)
	}
	show, end := s.UI.Progress("precompute", "images")
	report, err := cache.Fill(ctx, items, body, s.loader(ctx, draw), s.fillOptions(show))
	end()
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("stopped after %s, which are kept; run the same command again to "+
				"continue: %w",
				plural.Count(report.Computed, "computed photograph"), ctx.Err())
		}
		return nil, report, err
	}
	x, ok := cache.Rows(items)
	rows, width := make([][]float32, len(items)), body.Features()
	for i := range rows {
		if ok[i] {
			items[i].Digest = cache.Digest(items[i].File)
			rows[i] = x[i*width : (i+1)*width : (i+1)*width]
		}
	}
	return rows, report, nil
}

func (s *Setup) fillOptions(show func(done, total int)) activations.FillOptions {
	o := s.Config.Machine.Fill()
	o.Warn = func(line string) { s.UI.Warn("%s", line) }
	o.Progress = func(done, total, _ int) { show(done, total) }
	return o
}

// Key is all that the rows of a view depend on.
func (s *Setup) Key(view string) activations.Key {
	return activations.Key{
		Body: s.Body.Spec.Digest, Cut: s.Body.Spec.Pooled(), Preprocess: s.Preprocess.String(),
		Size: s.Config.Images.Size, View: view, Precision: s.arithmetic(),
	}
}

// arithmetic names the numbers that the body computes with, and by what if that is not
// ONNX Runtime itself.
func (s *Setup) arithmetic() string {
	c := s.Config
	own := onnx.Arithmetic(c.Machine.Device, c.Body.Precision == runs.BFloat16)
	return strings.TrimSpace(c.Body.Arithmetic() + " " + own)
}

// Stream computes the features of the centre view of items, in their order, and keeps
// nothing: emit gets each row, valid during the call, or what is wrong with the file.
func (s *Setup) Stream(ctx context.Context, items []dataset.Item,
	emit func(i int, row []float32, bad *activations.Bad) error) error {
	_, err := activations.Stream(ctx, items, s.Config.Images.Size, s.LazyBody(), s.loader(ctx, nil),
		s.Config.Machine.Fill(), emit)
	return err
}

// loader decodes a photograph and makes the tensor of one view.
func (s *Setup) loader(ctx context.Context, draw func(digest string) *rng.Stream) activations.Load {
	limits := s.Limits(ctx)
	if draw == nil {
		limits.Narrow = s.Narrow.Note
	}
	return func(dst []float32, data []byte, it dataset.Item) error {
		if draw == nil {
			return s.Preprocess.Load(dst, data, limits)
		}
		im, err := picture.Decode(data, limits)
		if err != nil {
			return err
		}
		return s.Preprocess.Augmented(dst, im, s.Policy, draw(it.Digest))
	}
}

// TrainingRows returns the source of a head's training rows: the centre view,
// or in each epoch one of K augmented views, drawn for each photograph by
// (seed, epoch, photograph).
func (s *Setup) TrainingRows(ctx context.Context, centre Split) (Source, error) {
	c := s.Config
	if c.Images.Augment == "none" {
		return Source{centre.Items, func(context.Context, int) ([][]float32, error) { return centre.Rows, nil }}, nil
	}
	if c.Images.Views <= 0 {
		return Source{centre.Items, func(ctx context.Context, epoch int) ([][]float32, error) {
			return s.AugmentedRows(ctx, centre.Items, epoch)
		}}, nil
	}
	views := make([][][]float32, c.Images.Views)
	for k := range views {
		rows, err := s.AugmentedRows(ctx, centre.Items, k)
		if err != nil {
			return Source{}, err
		}
		views[k] = rows
	}
	return Source{centre.Items, func(_ context.Context, epoch int) ([][]float32, error) {
		rows := make([][]float32, len(centre.Items))
		for i := range rows {
			k := rng.New(c.Train.Seed, rng.Text("view"), uint64(epoch), uint64(i)).Intn(len(views))
			rows[i] = views[k][i]
		}
		return rows, nil
	}}, nil
}

// AugmentedRows returns view k of items: the policy's draws named by k and each
// file's digest. Views do not depend on --seed, so that every run shares them.
func (s *Setup) AugmentedRows(ctx context.Context, items []dataset.Item, k int) ([][]float32, error) {
	name := fmt.Sprintf("%s/view%d", s.Policy, k)
	rows, _, err := s.view(ctx, items, name, func(digest string) *rng.Stream {
		return rng.New(rng.Text("augment"), uint64(k), rng.Text(digest))
	})
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		if r == nil {
			return nil, failure.Data(errors.New("learner: " + items[i].Path +
				": changed or removed while training; start again"))
		}
	}
	return rows, nil
}

// PhotoChanged is the error of a photograph that could be read before training.
func PhotoChanged(it dataset.Item, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case failure.System(err):
		return fmt.Errorf("learner: %w", err) // which names the file, and the storage as what is to blame
	}
	return failure.Data(fmt.Errorf("learner: %s: changed while training: %w; put it back and add --resume", it.File, err))
}
