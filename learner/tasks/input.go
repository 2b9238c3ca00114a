package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/sorting"
	"finetune/internal/store"
	"finetune/internal/tarshard"
	"finetune/job"
	"finetune/learner/runs"
	"finetune/scores"
)

// input is what a job is planned over.
type input struct {
	root  string // the folder that paths are below
	each  func(yield func(path string) error) error
	again int // paths that came more than once
	close func() error
}

// openInput finds out what a name stands for. A list is sorted in temporary files, in
// constant memory; a folder's names are in memory.
func openInput(name string, stdin io.Reader, ui runs.UI) (*input, error) {
	if store.IsURL(name) {
		return nil, failure.Usage(fmt.Errorf("tasks: %s: photographs are read from folders, not yet from buckets; mount "+
			"it, or copy it", name))
	}
	if name == "-" {
		return list(stdin, "standard input")
	}
	info, err := os.Stat(name)
	if err == nil && info.Mode().IsRegular() && !tarshard.IsShard(name) && !tarshard.Compressed(name) {
		f, err := os.Open(name)
		if err != nil {
			return nil, failure.Usage(fmt.Errorf("tasks: %w", err))
		}
		defer f.Close()
		return list(f, name)
	}
	items, warnings, err := dataset.Files(name)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		ui.Warn("%s", w)
	}
	root := name
	if !info.IsDir() {
		root = filepath.Dir(name)
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	return &input{root: root, close: func() error { return nil }, each: func(yield func(string) error) error {
		for _, it := range items {
			if err := yield(it.Path); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

// list reads paths and sorts them. Relative ones are below the working directory.
func list(r io.Reader, name string) (*input, error) {
	var s sorting.Sorter
	root, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	if err := scores.EachPath(r, name, s.Add); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	in := &input{root: root, close: s.Close}
	in.each = func(yield func(string) error) (err error) {
		in.again, err = s.Each(yield)
		return err
	}
	return in, nil
}

// plan writes the job over the inputs.
func (n New) plan(ctx context.Context, in *input, spec job.Spec, options any, ui runs.UI) (*job.Job, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	spec.Finetune, spec.Options, spec.TaskRows = n.Finetune, text, n.TaskRows
	j, err := job.Plan(ctx, n.Place, spec, in.each)
	if err != nil {
		return nil, err
	}
	if in.again > 0 {
		ui.Warn("%s: %s given more than once; each is taken once", n.Input,
			plural.Of(in.again, "path was", "paths were"))
	}
	return j, nil
}
