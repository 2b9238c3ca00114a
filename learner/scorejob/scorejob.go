// Package scorejob scores photographs as a job of package job: any number of processes on
// any machines, whose parts together are the table that one process writes.
package scorejob

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/reading"
	"finetune/job"
	"finetune/learner/classify"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/scores"
)

// Kind is the kind of these jobs in job.json.
const Kind = "score"

// Options are what the rows depend on besides model and photographs; in job.json.
type Options struct {
	Model     string  `json:"model"`  // where it was when the job was planned
	Root      string  `json:"root"`   // the folder that paths are below
	Device    string  `json:"device"` // cpu or cuda
	NoTF32    bool    `json:"no_tf32,omitempty"`
	MaxPixels int64   `json:"max_pixels,omitempty"` // 0: the default
	TTA       int     `json:"tta,omitempty"`
	Top       int     `json:"top,omitempty"`
	Threshold float64 `json:"threshold,omitempty"`
}

// score is what a Classifier calls these options.
func (o Options) score() classify.ScoreOptions {
	return classify.ScoreOptions{TTA: o.TTA, Table: scores.Options{Top: o.Top, Threshold: o.Threshold}}
}

// New is a job to plan.
type New struct {
	Place    string    // of the job: a folder or the URL of a bucket
	Model    string    // a RUN, or a file that was exported
	Input    string    // a folder, a tar, a file of paths, or - for paths on In
	In       io.Reader // standard input
	TaskRows int
	Finetune string // version of the program
	Options  Options
	Machine  runs.Machine
}

// Plan writes a job. It opens the model, and no photograph.
func Plan(ctx context.Context, n New, ui runs.UI) (*job.Job, error) {
	c, err := classify.Open(n.Model, n.Machine, ui)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Table(n.Options.score()); err != nil {
		return nil, err
	}
	o := n.Options
	o.NoTF32, o.MaxPixels = n.Machine.NoTF32, n.Machine.MaxPixels
	o.Device, _ = onnx.Chosen(c.Machine.Device) // opening the model has said why auto is no GPU
	in, err := openInput(n.Input, n.In, ui)
	if err != nil {
		return nil, err
	}
	defer in.close()
	o.Root = in.root
	if o.Model, err = filepath.Abs(n.Model); err != nil {
		return nil, fmt.Errorf("scorejob: %w", err)
	}
	options, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("scorejob: %w", err)
	}
	j, err := job.Plan(ctx, n.Place, job.Spec{Kind: Kind, Finetune: n.Finetune, Options: options, Needs: needs(c),
		TaskRows: n.TaskRows}, in.each)
	if err != nil {
		return nil, err
	}
	if in.again > 0 {
		ui.Warn("%s: %d paths were given more than once; each is scored once", n.Input, in.again)
	}
	return j, nil
}

func needs(c *classify.Classifier) job.Needs {
	return job.Needs{Model: c.Digest, Reading: c.Reading(), Runtime: c.Runtime.Version}
}

// Here says where things are on this machine, if not where they were planned.
type Here struct {
	Model, Photographs string // "": as planned
	Threads, Workers   int    // 0: one a core
}

// computer scores tasks with a model that stays loaded.
type computer struct {
	c    *classify.Classifier
	o    Options
	root string
	ui   runs.UI
}

// Open loads the model of a job. Another model, library or build than the job was planned
// for is failure.Data. The Computer is the caller's to close.
func Open(j *job.Job, here Here, ui runs.UI) (job.Computer, error) {
	if j.Kind != Kind {
		return nil, failure.Usage(fmt.Errorf("scorejob: %s: a job of kind %s, not %s", j, j.Kind, Kind))
	}
	o, err := parseOptions(j.Options)
	if err != nil {
		return nil, failure.Data(fmt.Errorf("scorejob: %s: options: %w; plan the job again", j, err))
	}
	model, root := o.Model, o.Root
	if here.Model != "" {
		model = here.Model
	}
	if here.Photographs != "" {
		root = here.Photographs
	}
	c, err := classify.Open(model, runs.Machine{Device: o.Device, NoTF32: o.NoTF32, MaxPixels: o.MaxPixels,
		Threads: here.Threads, Workers: here.Workers}, ui)
	if err != nil {
		return nil, fmt.Errorf("%w (the model of the job; --model names it where it is elsewhere)", err)
	}
	if err := j.Needs.Met(needs(c)); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", model, err), c.Close())
	}
	return &computer{c, o, root, ui}, nil
}

// Compute implements job.Computer.
func (c *computer) Compute(ctx context.Context, t job.Task) (job.Rows, error) {
	items := make([]dataset.Item, len(t.Inputs))
	for i, path := range t.Inputs {
		items[i] = dataset.Item{Path: path, File: file(c.root, path), Label: -1}
	}
	table, rows, status, err := c.c.Rows(ctx, items, c.o.score(), c.ui)
	if err == nil && !slices.Contains(status, scores.OK) {
		err = absent(items)
	}
	if err != nil {
		return job.Rows{}, err
	}
	return job.Rows{Columns: table.Columns, Rows: rows, Status: status}, nil
}

// many is how many photographs of a task cannot all be missing by chance.
const many = 20

// absent returns an error where photographs are not missing one by one, but together: a
// machine without the shared folder must not fill parts with rows of unreadable files.
func absent(items []dataset.Item) error {
	folders := 0
	for _, it := range items {
		if _, err := reading.Stat(it.File); !errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if _, err := os.Stat(filepath.Dir(it.File)); err == nil {
			folders++
		}
	}
	if folders > 0 && len(items) < many {
		return nil
	}
	return fmt.Errorf("scorejob: none of the %d photographs is on this machine, the first is %s; mount their folder, or "+
		"name it with --photographs", len(items), items[0].File)
}

// Close implements job.Computer.
func (c *computer) Close() error { return c.c.Close() }

// file is where the photograph of a path is. Nothing is cleaned: what follows SHARD.tar is
// the name of a member, which may begin with "./".
func file(root, path string) string {
	at := filepath.FromSlash(naming.UnescapePath(path))
	if filepath.IsAbs(at) {
		return at
	}
	return root + string(filepath.Separator) + at
}
