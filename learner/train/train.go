// Package train trains the two models: a head on cached features, and the whole network on
// photographs. It writes the files of a finished run.
package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"finetune/dataset"
	"finetune/head"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/learner/runs"
)

// training is a run that is being trained: what it learns from and where it goes.
type training struct {
	*features.Setup
	run      *runs.Run // nil for a fit of which nothing is kept
	features *features.Features
	started  time.Time
	kind     string // of the head: linear, or as the flags for its layers say
}

// Head trains a head on the features into the run's folder and returns what
// came of it. With a saved state in the folder it continues from there. A
// configuration that cannot be trained is a usage error that holds a config.FieldError.
func Head(ctx context.Context, s *features.Setup, r *runs.Run, f *features.Features,
	started time.Time) (*runs.Summary, error) {
	if err := s.Config.Validate(); err != nil {
		return nil, err
	}
	tr, begin := &training{Setup: s, run: r, features: f, started: started}, time.Now()
	o, err := tr.trained(ctx, true)
	if err != nil {
		return nil, err
	}
	return tr.finish(ctx, o, time.Since(begin))
}

// startFit prepares a fit of a new head or, where the configuration names one, of a loaded head.
func (tr *training) startFit(ctx context.Context) (*fit.Fit, *headModel, error) {
	t, m, err := tr.newFit(ctx)
	if err == nil && tr.Config.Train.Load != "" {
		err = tr.load(m.head)
	}
	return t, m, err
}

// runFit runs t to its end with its table, progress, checkpoints and snapshots.
func (tr *training) runFit(ctx context.Context, t *fit.Fit, save func(path string) error) error {
	tr.header()
	for _, e := range t.History {
		tr.row(e)
	}
	show, end := tr.UI.Progress("train", "steps")
	defer end()
	t.Row, t.Tick = tr.row, show
	t.Save = func(t *fit.Fit) error { return tr.checkpoint(t) }
	t.Snapshot = func(_ *fit.Fit, cycle int) error { return save(tr.run.Saved(fmt.Sprintf("cycle-%d", cycle))) }
	return t.Run(ctx)
}

// newFit prepares a fit of a fresh head from the configuration, at step 0.
func (tr *training) newFit(ctx context.Context) (*fit.Fit, *headModel, error) {
	if len(tr.features.Train.Items) < 2 {
		return nil, nil, failure.Data(fmt.Errorf("learner: %s: %s; at least two are "+
			"needed",
			tr.Config.Data.Name(), plural.Count(len(tr.features.Train.Items), "readable training photograph")))
	}
	options, err := tr.headOptions(tr.features.Train.Items)
	if err != nil {
		return nil, nil, err
	}
	src, err := tr.TrainingRows(ctx, tr.features.Train)
	if err != nil {
		return nil, nil, err
	}
	rows := &inMemory{train: src, valid: tr.features.Valid, classes: len(tr.Set.Classes), multi: tr.Set.Multi}
	return tr.fitOf(rows, len(src.Items), fit.Shuffled(tr.Config.Train, src.Items, rows.classes), options)
}

// fitOf is a fit of a fresh head on n training rows, at step 0.
func (tr *training) fitOf(r rows, n int, draw fit.Draw, o head.Options) (*fit.Fit, *headModel, error) {
	h, err := head.New(tr.headConfig())
	if err != nil {
		return nil, nil, failure.Usage(err)
	}
	trainer, err := head.NewTrainer(h, o)
	if err != nil {
		return nil, nil, failure.Usage(err)
	}
	batches := head.Batches(n, tr.Config.Train.BatchSize)
	sched, err := fit.NewSchedule(tr.Config.Train, batches)
	if err != nil {
		return nil, nil, failure.Usage(err)
	}
	m := &headModel{head: h, trainer: trainer, rows: r}
	return &fit.Fit{Config: tr.Config.Train, Draw: draw, Model: m, Schedule: sched, Batches: batches}, m, nil
}

// headConfig is the shape of a head on the features of s.
func headConfig(s *features.Setup, classes int, multi bool) head.Config {
	t := s.Config.Train
	drops := []float64(t.Dropout)
	if len(drops) == 1 { // one share serves every layer
		drops = slices.Repeat(drops, len(t.Hidden)+1)
	}
	return head.Config{In: s.Body.Spec.Features(), Seed: t.Seed, Classes: classes, Multi: multi, Hidden: t.Hidden,
		Drop: drops}
}

func (tr *training) headConfig() head.Config {
	if tr.kind == runs.HeadLinear {
		return head.Config{In: tr.Body.Spec.Features(), Drop: []float64{0}, Classes: len(tr.Set.Classes),
			Multi: tr.Set.Multi}
	}
	return headConfig(tr.Setup, len(tr.Set.Classes), tr.Set.Multi)
}

func (tr *training) headOptions(train []dataset.Item) (head.Options, error) {
	return tr.optionsFor(func() []int {
		n := make([]int, len(tr.Set.Classes))
		for _, it := range train {
			n[it.Label]++
		}
		return n
	})
}

// optionsFor are the options of a head for training rows of which each class has so many.
func (tr *training) optionsFor(counts func() []int) (head.Options, error) {
	c := tr.Config.Train
	o := head.Options{Optimizer: string(c.Optimiser), Decoupled: c.Decoupled, Clip: c.Clip, Seed: c.Seed,
		Loss: head.Loss{Smoothing: c.Smoothing}}
	if tr.Set.Multi && (c.Balance == config.Sampling || c.Balance == config.Weights) {
		return o, failure.Usage(fmt.Errorf("--balance %s needs one label per photograph; this task is "+
			"multi-label", c.Balance))
	}
	if c.Balance == config.Weights {
		o.Loss.Weights = head.WeightsOf(counts())
	}
	return o, nil
}

// header and row print the epoch table in the reference's form.
func (tr *training) header() {
	last := "accuracy"
	if tr.Set.Multi {
		last = "accuracy_thresh"
	}
	tr.UI.Header("epoch", "trn_loss", "val_loss", last)
}

func (tr *training) row(e runs.Epoch) {
	tr.UI.Row(strconv.Itoa(e.Epoch), rounded(e.TrainLoss), rounded(e.ValidLoss), rounded(e.Accuracy))
}

// rounded prints with at most six decimals, the shortest form.
func rounded(v float64) string {
	return strconv.FormatFloat(round6(v), 'g', -1, 64)
}

func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }
