package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"finetune/dataset"
	"finetune/head"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/learner/parts"
	"finetune/learner/runs"
)

// OpenParts opens the finished job that a configuration names, and its body, and completes
// the configuration. Close both.
func OpenParts(ctx context.Context, c runs.Config, ui runs.UI) (_ *features.Setup, _ *parts.Set, err error) {
	set, err := parts.Open(ctx, c.Data.Job)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, set.Close())
		}
	}()
	if id := c.Data.JobID; id != "" && id != set.Job.ID {
		return nil, nil, failure.Data(fmt.Errorf("learner: %s: is another job than the one that this run began with; put "+
			"that one back, or train again with --overwrite", set.Job))
	}
	s, err := parts.OpenBody(set.Job, c.Body.Name, c.Machine, ui)
	if err != nil {
		return nil, nil, err
	}
	if n := s.Body.Spec.Features(); n != set.Width {
		return nil, nil, errors.Join(failure.Data(fmt.Errorf("learner: %s: rows of %s, the body gives %d", set.Job,
			plural.Count(set.Width, "feature"), n)), s.Close())
	}
	complete(s, set, c)
	ui.Say("data       %s: %d train, %d valid, %s in %s, in %s", set.Job, set.Rows(parts.Train), set.Rows(parts.Valid),
		plural.Count(set.Rows(parts.Test), "test photograph"), plural.Count(len(s.Set.Classes), "class"),
		plural.Count(set.Job.Tasks, "part"))
	features.TellClasses(ui, set.Counts)
	if set.Skipped > 0 {
		ui.Warn("%s of the job could not be read; skipped", plural.Count(set.Skipped, "photograph"))
	}
	ui.Say("window     about %s at once", plural.Count(s.Config.Train.Window, "row"))
	return s, set, nil
}

// windowFloats is how many numbers a window holds, unless --window says how many rows.
const windowFloats = 1 << 26

// complete writes into the configuration what the job decides.
func complete(s *features.Setup, set *parts.Set, c runs.Config) {
	l, now := set.Options.Labels, &s.Config
	now.Version, now.Command, now.Train, now.Data = c.Version, c.Command, c.Train, l.Data
	now.Data.Job, now.Data.JobID, now.Data.SplitSeed = c.Data.Job, set.Job.ID, l.Seed
	now.Classes, now.Multi = l.Classes, l.Multi
	now.Body.Name = cmp.Or(c.Body.Name, set.Options.Body.Name)
	s.Set = &dataset.Set{Root: set.Options.Root, Classes: l.Classes, Multi: l.Multi}
	if now.Train.Window == 0 {
		now.Train.Window = max(windowFloats/set.Width, 2*now.Train.BatchSize)
	}
}

// outOfCore are rows in the parts of a job.
type outOfCore struct {
	*parts.Stream
	set *parts.Set
}

// Validate implements rows. The log-probabilities are too many to be held.
func (o outOfCore) Validate(ctx context.Context, h *head.Head) (runs.Score, []float32, error) {
	score, err := o.set.Measure(ctx, h)
	return score, nil, err
}

// Parts is Head on the rows of a job, which are read in windows.
func Parts(ctx context.Context, s *features.Setup, set *parts.Set, r *runs.Run,
	started time.Time) (*runs.Summary, error) {
	tr, begin := &training{Setup: s, run: r, started: started}, time.Now()
	t, m, end, err := tr.partsFit(set)
	if err != nil {
		return nil, err
	}
	defer end()
	if tr.Config.Train.Load != "" {
		if err := tr.load(m.head); err != nil {
			return nil, err
		}
	}
	if err := tr.resume(t); err != nil {
		return nil, err
	}
	if err := tr.runFit(ctx, t, func(path string) error { return tr.saveHead(path, m.head) }); err != nil {
		return nil, err
	}
	return tr.finishParts(ctx, t, m, set, time.Since(begin))
}

// partsFit is a fit of a fresh head on the rows of a job. Call end when it is done.
func (tr *training) partsFit(set *parts.Set) (_ *fit.Fit, _ *headModel, end func(), err error) {
	options, err := tr.optionsFor(func() []int {
		n := make([]int, len(set.Counts))
		for i, c := range set.Counts {
			n[i] = c.Train
		}
		return n
	})
	if err != nil {
		return nil, nil, nil, err
	}
	c, n := tr.Config.Train, tr.keepSome(set)
	rows := outOfCore{set: set}
	t, m, err := tr.fitOf(&rows, n, fit.InTurn(n, c.BatchSize), options)
	if err != nil {
		return nil, nil, nil, err
	}
	rows.Stream = set.Stream(c.Window, c.Seed, t.Schedule.Steps()/t.Batches)
	return t, m, rows.Close, nil
}

// finishParts writes what a run on a job leaves.
func (tr *training) finishParts(ctx context.Context, t *fit.Fit, m *headModel, set *parts.Set,
	took time.Duration) (*runs.Summary, error) {
	r := tr.run
	if err := tr.checkpoint(t); err != nil {
		return nil, err
	}
	known, err := tr.calibrateParts(ctx, m, set)
	if err != nil {
		return nil, err
	}
	if err := runs.WriteCalibration(r.Path(runs.CalibrationFile), known); err != nil { // no head without it
		return nil, err
	}
	if err := tr.saveHeads(m.head); err != nil {
		return nil, err
	}
	score, honesty, err := tr.writeSample(ctx, calibrated{m.head, known.Temperature, nil}, known, set)
	if err != nil {
		return nil, err
	}
	sum := &runs.Summary{
		Run: filepath.ToSlash(r.Name), Body: tr.Config.Body.Name, Classes: tr.Set.Classes,
		TrainImages: set.Rows(parts.Train), ValidImages: set.Rows(parts.Valid), Skipped: set.Skipped, Valid: score,
		Counts: set.Counts, Majority: set.Majority(), Calibration: honesty,
		Seconds: runs.Seconds{Train: took.Seconds(), Total: time.Since(tr.started).Seconds()},
	}
	if err := runs.WriteJSON(r.Path(runs.SummaryFile), sum); err != nil {
		return nil, err
	}
	return sum, r.WriteSums(runs.ConfigFile, runs.HistoryFile, runs.StepsFile, runs.PredictionsFile, runs.SkippedFile,
		runs.HeadFile, runs.CalibrationFile, runs.StateFile, runs.SummaryFile)
}
