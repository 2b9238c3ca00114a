package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"finetune/dataset"
	"finetune/dataset/kinds"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/remote"
	"finetune/internal/sorting"
	"finetune/internal/store"
	"finetune/internal/tarshard"
	"finetune/job"
	"finetune/learner/runs"
	"finetune/scores"
)

// input is what a job is planned over.
type input struct {
	root   string // the folder that paths are below, also of a bucket
	each   func(yield func(path string) error) error
	again  int  // paths that came more than once
	ranges bool // photographs are members of tars: each says where (place)
	close  func() error
}

// openInput finds out what a name stands for. Paths are sorted in temporary files: memory
// does not grow with their number.
func openInput(ctx context.Context, name string, stdin io.Reader, ui runs.UI, tars ofTars) (*input, error) {
	if name == "-" {
		return list(stdin, "standard input")
	}
	if store.IsURL(name) {
		return bucket(ctx, name, tars)
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
	var s sorting.Sorter
	var names []string
	n := 0
	warnings, err := dataset.Each(name, func(it dataset.Item) error { n++; return s.Add(it.Path) },
		func(rel, _ string) error { names = append(names, rel); return nil })
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, w := range warnings {
		ui.Warn("%s", w)
	}
	root := name
	if !info.IsDir() {
		root = filepath.Dir(name)
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, errors.Join(fmt.Errorf("tasks: %w", err), s.Close())
	}
	return found(ctx, root, n, &s, names, tars)
}

// bucket lists what lies below an address, in pages.
func bucket(ctx context.Context, name string, tars ofTars) (*input, error) {
	at, prefix, err := store.Divide(name)
	if err != nil {
		return nil, err
	}
	files, err := store.Open(ctx, at)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	one := strings.TrimSuffix(prefix, "/")
	if tarshard.IsShard(one) { // the place of a tar, not of a folder
		above := one[:strings.LastIndexByte(one, '/')+1]
		return found(ctx, store.Join(at, above), 0, &sorting.Sorter{}, []string{one[len(above):]}, tars)
	}
	var s sorting.Sorter
	var names []string
	n := 0
	err = files.List(ctx, prefix, func(e store.Entry) error {
		rel := strings.TrimPrefix(e.Name, prefix)
		switch {
		case kinds.Kept(rel):
			n++
			return s.Add(naming.EscapePath(rel))
		case tarshard.IsShard(rel) && kinds.Kept(rel+"s"): // an extension that nothing has
			names = append(names, rel)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tasks: %w", err), s.Close())
	}
	return found(ctx, name, n, &s, names, tars)
}

// ofTars makes the input of the photographs in tars, whose names are below root.
type ofTars func(ctx context.Context, root string, names []string, s *sorting.Sorter) (*input, error)

// found is the input of photographs, or where there are none, of those in tars.
func found(ctx context.Context, root string, n int, s *sorting.Sorter, names []string, tars ofTars) (*input, error) {
	if n == 0 && len(names) > 0 {
		in, err := tars(ctx, root, names, s)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		in.root, in.ranges, in.close = root, true, s.Close
		return in, nil
	}
	if n == 0 {
		return nil, errors.Join(failure.Data(fmt.Errorf("dataset: %s: no photographs here or below", root)), s.Close())
	}
	return sorted(root, s), nil
}

// sorted is the input of the paths in s, which it closes.
func sorted(root string, s *sorting.Sorter) *input {
	in := &input{root: root, close: s.Close}
	in.each = func(yield func(string) error) (err error) { in.again, err = s.Each(yield); return err }
	return in
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
	return sorted(root, &s), nil
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

// below is the path of what is below root, an address or a path, on this machine.
func below(root, place string) (string, error) {
	if place == "" {
		place = root
	}
	return remote.Root(place)
}
