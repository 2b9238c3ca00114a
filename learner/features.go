package learner

import (
	"context"
	"errors"
	"fmt"

	"finetune/activations"
	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/rng"
)

// centreView names the validation view of a photograph in the cache's key.
const centreView = "centre"

// split is one part of the data set with its features.
type split struct {
	items []dataset.Item
	rows  [][]float32 // [len(items)][features]
}

// source gives the rows to train on in an epoch, in the order of its items.
type source struct {
	items []dataset.Item
	rows  func(ctx context.Context, epoch int) ([][]float32, error)
}

// Features are the readable photographs of each split with their centre views.
type Features struct {
	Train, Valid, Test split
	Skipped            []Skipped
	Seconds            float64
	Computed           int
	Decode             float64 // core-seconds of reading, hashing and decoding
	Steady             float64 // images a second once the body had loaded; 0 if too few were computed
}

// Len is the number of photographs.
func (s split) Len() int { return len(s.items) }

// Skipped is a photograph that could not be used.
type Skipped struct{ Split, Path, Status, Reason string }

// Precompute makes sure that the features of every photograph are cached and
// returns them. Photographs that cannot be read are left out and listed; more
// than MaxBad of train and valid together is an error.
func (l *Learner) Precompute(ctx context.Context) (*Features, error) {
	f := &Features{}
	parts := []struct {
		name  string
		items []dataset.Item
		into  *split
	}{{"train", l.Set.Train, &f.Train}, {"valid", l.Set.Valid, &f.Valid}, {"test", l.Set.Test, &f.Test}}
	var all []dataset.Item
	for _, p := range parts {
		all = append(all, p.items...)
	}
	rows, report, err := l.view(ctx, all, centreView, nil)
	if err != nil {
		return nil, err
	}
	f.Seconds, f.Computed, f.Decode, f.Steady = report.Seconds, report.Computed, report.DecodeSeconds, report.Steady
	at, bad := 0, reasons(report.Skipped)
	for _, p := range parts {
		for _, it := range p.items {
			it.Digest = all[at].Digest
			if rows[at] != nil {
				p.into.items, p.into.rows = append(p.into.items, it), append(p.into.rows, rows[at])
			} else {
				b := bad[it.Path]
				f.Skipped = append(f.Skipped, Skipped{p.name, it.Path, b.Status, b.Reason})
			}
			at++
		}
	}
	l.tell(report, len(all), len(f.Skipped))
	l.narrow.tell(l.ui)
	if err := l.checkSkipped(f); err != nil {
		return f, err
	}
	return f, l.checkLeft(f)
}

// PrecomputeViews caches the augmented views that training and test-time
// augmentation would use, where the configuration asks for augmentation.
func (l *Learner) PrecomputeViews(ctx context.Context, f *Features) error {
	if l.Config.Images.Augment == "none" {
		return nil
	}
	for k := range l.Config.Images.Views {
		for _, s := range []split{f.Train, f.Valid, f.Test} {
			if _, err := l.augmented(ctx, s.items, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// Keep leaves of each split only the photographs in [lo, hi) of bounds, for a
// machine that computes a part of the features.
func (l *Learner) Keep(bounds func(n int) (lo, hi int)) {
	for _, list := range []*[]dataset.Item{&l.Set.Train, &l.Set.Valid, &l.Set.Test} {
		lo, hi := bounds(len(*list))
		*list = (*list)[lo:hi]
	}
	l.partial = true
}

func (l *Learner) tell(r activations.Report, items, skipped int) {
	if r.Computed > 0 {
		l.ui.Say("features   %d photographs computed in %.1f s (%.0f images/s), %d from the cache", r.Computed, r.Seconds, float64(r.Computed)/r.Seconds, items-r.Computed-skipped)
	} else {
		l.ui.Say("features   all %d from the cache, no inference (%.2f s)", items-skipped, r.Seconds)
	}
}

// checkSkipped warns about unreadable photographs and refuses too many of them.
func (l *Learner) checkSkipped(f *Features) error {
	const shown = 5
	for i, s := range f.Skipped {
		if i == shown {
			l.ui.Warn("and %d more unreadable photographs, all listed in %s", len(f.Skipped)-shown, l.listSkipped(f.Skipped))
			break
		}
		l.ui.Warn("%s: %s: %s; skipped", s.Path, s.Status, s.Reason)
	}
	bad := 0
	for _, s := range f.Skipped {
		if s.Split != "test" {
			bad++
		}
	}
	total := len(l.Set.Train) + len(l.Set.Valid)
	if share := float64(bad) / float64(max(total, 1)); bad > 0 && share > l.Config.Data.MaxBad {
		return failure.Data(fmt.Errorf("learner: %s: %d of %d photographs cannot be read, more than --max-bad %g allows; mend or remove them (%s: %s)",
			l.Config.Data.name(), bad, total, l.Config.Data.MaxBad, f.Skipped[0].Path, f.Skipped[0].Reason))
	}
	if !l.partial && (len(f.Train.items) == 0 || len(f.Valid.items) == 0) {
		return failure.Data(fmt.Errorf("learner: %s: no readable photographs are left to train and validate on", l.Config.Data.name()))
	}
	return nil
}

func reasons(bad []activations.Bad) map[string]activations.Bad {
	m := make(map[string]activations.Bad, len(bad))
	for _, b := range bad {
		m[b.Path] = b
	}
	return m
}

// view returns the features of items under one view, nil for an unreadable
// photograph, and notes in items what is in each file. draw is nil for the centre view; for an augmented one it names
// the random stream of a photograph.
func (l *Learner) view(ctx context.Context, items []dataset.Item, view string, draw func(digest string) *rng.Stream) ([][]float32, activations.Report, error) {
	body := l.lazyBody()
	if l.Recompute {
		if err := activations.Drop(l.Config.Machine.Cache, l.key(view), body.Features()); err != nil {
			return nil, activations.Report{}, err
		}
	}
	cache, err := activations.Open(l.Config.Machine.Cache, l.key(view), body.Features())
	if err != nil {
		return nil, activations.Report{}, err
	}
	defer cache.Close()
	for _, w := range cache.Warnings() {
		l.ui.Warn("%s", w)
	}
	show, end := l.ui.Progress("precompute", "images")
	report, err := cache.Fill(ctx, items, body, l.loader(ctx, draw), l.fillOptions(show))
	end()
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("stopped after %d computed photographs, which are kept; the same command goes on from there: %w", report.Computed, ctx.Err())
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

func (l *Learner) fillOptions(show func(done, total int)) activations.FillOptions {
	o := l.Config.Machine.fill()
	o.Warn = func(line string) { l.ui.Warn("%s", line) }
	o.Progress = func(done, total, _ int) { show(done, total) }
	return o
}

func (l *Learner) key(view string) activations.Key {
	return activations.Key{
		Body: l.Body.Spec.Digest, Cut: l.Body.Spec.Cut, Preprocess: l.pre.String(),
		Size: l.Config.Images.Size, View: view, Precision: l.Config.Body.precision(),
	}
}

// loader decodes a photograph and makes the tensor of one view.
func (l *Learner) loader(ctx context.Context, draw func(digest string) *rng.Stream) activations.Load {
	limits := l.limits(ctx)
	if draw == nil {
		limits.Narrow = l.narrow.note
	}
	return func(dst []float32, data []byte, it dataset.Item) error {
		if draw == nil {
			return l.pre.Load(dst, data, limits)
		}
		im, err := augment.Decode(data, limits)
		if err != nil {
			return err
		}
		return l.pre.Augmented(dst, im, l.policy, draw(it.Digest))
	}
}

// cachedViews returns the source of a head's training rows: the centre view,
// or in each epoch one of K augmented views, drawn for each photograph by
// (seed, epoch, photograph).
func (l *Learner) cachedViews(ctx context.Context, centre split) (source, error) {
	c := l.Config
	if c.Images.Augment == "none" {
		return source{centre.items, func(context.Context, int) ([][]float32, error) { return centre.rows, nil }}, nil
	}
	if c.Images.Views <= 0 {
		return source{centre.items, func(ctx context.Context, epoch int) ([][]float32, error) {
			return l.augmented(ctx, centre.items, epoch)
		}}, nil
	}
	views := make([][][]float32, c.Images.Views)
	for k := range views {
		rows, err := l.augmented(ctx, centre.items, k)
		if err != nil {
			return source{}, err
		}
		views[k] = rows
	}
	return source{centre.items, func(_ context.Context, epoch int) ([][]float32, error) {
		rows := make([][]float32, len(centre.items))
		for i := range rows {
			k := rng.New(c.Train.Seed, rng.Text("view"), uint64(epoch), uint64(i)).Intn(len(views))
			rows[i] = views[k][i]
		}
		return rows, nil
	}}, nil
}

// augmented returns view k of items: the policy's draws named by k and each
// file's digest. Views do not depend on --seed, so that every run shares them.
func (l *Learner) augmented(ctx context.Context, items []dataset.Item, k int) ([][]float32, error) {
	name := fmt.Sprintf("%s/view%d", l.policy, k)
	rows, _, err := l.view(ctx, items, name, func(digest string) *rng.Stream {
		return rng.New(rng.Text("augment"), uint64(k), rng.Text(digest))
	})
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		if r == nil {
			return nil, failure.Data(errors.New("learner: " + items[i].Path + ": changed or removed while training; start again"))
		}
	}
	return rows, nil
}
