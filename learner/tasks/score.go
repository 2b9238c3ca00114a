package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"finetune/internal/failure"
	"finetune/internal/store"
	"finetune/job"
	"finetune/learner/classify"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/scores"
)

// Score is the kind of jobs whose rows are scores.
const Score = "score"

// ScoreOptions are what the rows depend on besides model and photographs; in job.json.
type ScoreOptions struct {
	Model     string  `json:"model"`  // where it was when the job was planned
	Root      string  `json:"root"`   // the folder that paths are below
	Device    string  `json:"device"` // cpu or cuda
	NoTF32    bool    `json:"no_tf32,omitempty"`
	MaxPixels int64   `json:"max_pixels,omitempty"` // 0: the default
	TTA       int     `json:"tta,omitempty"`
	Top       int     `json:"top,omitempty"`
	Threshold float64 `json:"threshold,omitempty"`
	Kaggle    string  `json:"kaggle,omitempty"`
	Coverage  float64 `json:"coverage,omitempty"`
	Odd       string  `json:"odd,omitempty"`
	Raw       bool    `json:"raw,omitempty"`
	Ranges    bool    `json:"ranges,omitempty"` // photographs are members of tars, and tasks say where they are
}

// RowsOf are the options of a table that is to have the rows that Score gives with o.
func RowsOf(o classify.ScoreOptions, raw bool) ScoreOptions {
	t := o.Table
	return ScoreOptions{TTA: o.TTA, Top: t.Top, Threshold: t.Threshold, Kaggle: t.Kaggle, Coverage: t.Coverage, Odd: o.Odd,
		Raw: raw}
}

// score is what a Classifier calls these options.
func (o ScoreOptions) score() classify.ScoreOptions {
	return classify.ScoreOptions{TTA: o.TTA, Odd: o.Odd,
		Table: scores.Options{Top: o.Top, Threshold: o.Threshold, Kaggle: o.Kaggle, Coverage: o.Coverage}}
}

// PlanScore writes a job that scores photographs with a RUN or an exported file. It opens
// the model, and no photograph.
func PlanScore(ctx context.Context, n New, model string, o ScoreOptions, m runs.Machine, ui runs.UI) (*job.Job, error) {
	c, err := classify.Open(model, m, ui)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if o.Raw {
		c.Raw()
	}
	if _, err := c.Table(o.score()); err != nil {
		return nil, err
	}
	o.NoTF32, o.MaxPixels = m.NoTF32, m.MaxPixels
	o.Device, _ = onnx.Chosen(c.Machine.Device) // opening the model has said why auto is no GPU
	if o.Model = model; !store.IsURL(model) {
		if o.Model, err = filepath.Abs(model); err != nil {
			return nil, fmt.Errorf("tasks: %w", err)
		}
	}
	in, err := openInput(ctx, n.Input, n.In, ui, photographsOf)
	if err != nil {
		return nil, err
	}
	defer in.close()
	if o.Kaggle != "" {
		sorter, err := in.sortByID()
		if err != nil {
			return nil, err
		}
		defer sorter.Close()
	}
	o.Root, o.Ranges = in.root, in.ranges
	return n.plan(ctx, in, job.Spec{Kind: Score, Needs: needs(c)}, o, ui)
}

func needs(c *classify.Classifier) job.Needs {
	return job.Needs{Model: c.Digest, Reading: c.Reading(), Runtime: c.Runtime.Version}
}

// computer scores tasks with a model that stays loaded.
type computer struct {
	c    *classify.Classifier
	o    ScoreOptions
	root string
	ui   runs.UI
}

func openScore(j *job.Job, here Here, ui runs.UI) (job.Computer, error) {
	var o ScoreOptions
	if err := options(j, &o); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, failure.Data(fmt.Errorf("tasks: %s: options: %w; plan the job again", j, err))
	}
	model := cmp.Or(here.Model, o.Model)
	root, err := below(o.Root, here.Photographs)
	if err != nil {
		return nil, err
	}
	c, err := classify.Open(model, runs.Machine{Device: o.Device, NoTF32: o.NoTF32, MaxPixels: o.MaxPixels,
		Threads: here.Threads, Workers: here.Workers}, ui)
	if err != nil {
		return nil, fmt.Errorf("%w (the model of the job; --model names it where it is elsewhere)", err)
	}
	if o.Raw {
		c.Raw()
	}
	if err := j.Needs.Met(needs(c)); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", model, err), c.Close())
	}
	return &computer{c, o, root, ui}, nil
}

// Compute implements job.Computer.
func (c *computer) Compute(ctx context.Context, t job.Task) (job.Rows, error) {
	paths := t.Inputs
	if c.o.Ranges {
		var err error
		if paths, err = located(c.root, paths); err != nil {
			return job.Rows{}, err
		}
	}
	list := items(c.root, paths)
	table, rows, status, err := c.c.Rows(ctx, list, c.o.score(), c.ui)
	if err == nil && !slices.Contains(status, scores.OK) {
		err = absent(list)
	}
	if err != nil {
		return job.Rows{}, err
	}
	return job.Rows{Columns: table.Columns, Rows: rows, Status: status}, nil
}

// Close implements job.Computer.
func (c *computer) Close() error { return c.c.Close() }

func (o ScoreOptions) check() error {
	switch {
	case o.Model == "" || o.Root == "":
		return errors.New("no model, or no root")
	case o.TTA < 0 || o.TTA > 1000 || o.MaxPixels < 0 || o.Top < 0:
		return errors.New("a number that makes no sense")
	}
	return nil
}
