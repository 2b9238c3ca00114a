// Package learner is the entry point of the library: photographs go in, a trained
// classifier and its measured accuracy come out. Train makes a run. Learner has the single
// steps of Train. OpenClassifier opens a trained run or an exported file. The packages
// below it do the work:
//
//	config    everything that a run is made by: defaults, bounds, contradictions
//	runs      the files of a run: tables, tensors, checksums, locks
//	features  photographs to cached rows: the frozen body and its session
//	fit       the training loop: order, rates, checkpoints, best and averaged weights
//	batches   photographs for the whole network, decoded ahead
//	train     what a fit trains, and what it leaves: the head, the whole network
//	trials    ways to train, compared on training photographs left out
//	recipe    the stages of the lesson, and what of them is kept
//	classify  trained runs and exported files: predict, score, evaluate
//	export    a run as one ONNX file, proven against the run
//	check     what is wrong with a data set: labels, copies, series, files
//	report    the files of a run as a page with pictures
package learner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"finetune/learner/check"
	"finetune/learner/features"
	"finetune/learner/parts"
	"finetune/learner/recipe"
	"finetune/learner/report"
	"finetune/learner/runs"
	"finetune/learner/train"
	"finetune/onnx/artifacts"
)

// TrainOptions say where a run goes and what may be there already.
type TrainOptions struct {
	Dir      string // of the run; "": runs/DATA-TIME
	How      RunOptions
	GoOn     *Run // that OpenRun opened, to continue; nil for a new one. Train closes it
	NoReport bool
	Started  time.Time // of the command; zero: now
}

// Train trains what the configuration asks for, a head, the whole network or the
// steps of a recipe, into a run's folder, writes its report and returns what came of
// it. Where ctx ends, the run can be gone on with. Begin config with DefaultConfig: one
// that cannot be trained is a usage error that holds a FieldError.
func Train(ctx context.Context, config Config, o TrainOptions, ui UI) (_ *Summary, err error) {
	if o.Started.IsZero() {
		o.Started = time.Now()
	}
	run := o.GoOn
	defer func() { run.Close() }()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		o.Dir, o.How.Number = runs.DefaultDir(config.Data.Name(), o.Started.Format("20060102-150405")), true
	}
	l, err := Open(ctx, config, ui)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	l.Report = !o.NoReport
	if run == nil {
		if run, err = runs.Create(o.Dir, o.How, l.Config); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil && ctx.Err() == nil {
				run.Discard()
			}
		}()
	}
	summary, err := l.trainInto(ctx, run, o.Started)
	if err != nil {
		return nil, howToGoOn(ctx, err, run)
	}
	if !o.NoReport {
		_, err = report.Write(run.Dir)
	}
	return summary, errors.Join(err, run.Install())
}

// howToGoOn adds to the error of an interrupted run the command that continues the run.
func howToGoOn(ctx context.Context, err error, run *Run) error {
	if ctx.Err() == nil {
		return err
	}
	more := ""
	if run.Dir != run.Name {
		more = " --overwrite"
	}
	return fmt.Errorf("%w; continue with `finetune train --run %s --resume%s`", err, run.Name, more)
}

// Learner is a data set and a body that are ready to be trained.
type Learner struct {
	*features.Setup
	rows *parts.Set // of a job; nil for photographs
}

// Close frees what a learner holds.
func (l *Learner) Close() error { return errors.Join(l.Setup.Close(), l.rows.Close()) }

// Open finds the data, the body and the library, and completes config with what
// was chosen. Close frees what it holds. A configuration that cannot be trained, or
// that was not begun with DefaultConfig, is a usage error that holds a FieldError.
func Open(ctx context.Context, config Config, ui UI) (*Learner, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config.Train = config.Train.Completed()
	if config.Data.Job != "" {
		s, rows, err := train.OpenParts(ctx, config, ui)
		return &Learner{s, rows}, err
	}
	if config.Train.Unfreeze {
		if err := train.CheckPrecision(config); err != nil {
			return nil, err
		}
	}
	s, err := features.Open(ctx, config, ui)
	return &Learner{s, nil}, err
}

// Part is a learner of some of the photographs: of each split those in [lo, hi) of bounds.
func (l *Learner) Part(bounds func(n int) (lo, hi int)) *Learner {
	return &Learner{l.Setup.Part(bounds), nil}
}

// trainInto computes the features and trains on them.
func (l *Learner) trainInto(ctx context.Context, r *Run, started time.Time) (*Summary, error) {
	if l.rows != nil {
		return train.Parts(ctx, l.Setup, l.rows, r, started)
	}
	f, err := l.Precompute(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.KeepPhotographs(r, f); err != nil {
		return nil, err
	}
	found, err := check.InRun(ctx, l.Setup, f, r)
	if err != nil {
		return nil, err
	}
	s, err := recipe.Decide(ctx, l.Setup, f, r)
	if err != nil {
		return nil, err
	}
	how := train.Head
	switch {
	case s.Config.Recipe != nil:
		how = recipe.Run
	case s.Config.Train.Unfreeze:
		how = train.Network
	}
	summary, err := how(ctx, s, r, f, started)
	if err == nil {
		summary.Findings = found
	}
	return summary, err
}

// FindRate looks for a learning rate. Nothing of it stays.
func (l *Learner) FindRate(ctx context.Context, f *Features, s Search) (Curve, error) {
	return train.FindRate(ctx, l.Setup, f, s)
}

// Audit looks for what is wrong with the data set: labels, copies, series, files.
func (l *Learner) Audit(ctx context.Context, f *Features) (*check.Result, error) {
	return check.Run(ctx, l.Setup, f)
}

// WriteArtifacts writes the files of full fine-tuning for a configuration's body
// and a head of so many classes; portable ones run on any processor.
func WriteArtifacts(dir string, c Config, classes int, multi, portable bool, ui UI) (artifacts.Manifest, error) {
	return train.WriteArtifacts(dir, c, classes, multi, portable, ui)
}
