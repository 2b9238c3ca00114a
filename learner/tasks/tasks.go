// Package tasks computes the tasks of jobs (package job): scores of photographs, or their
// features. Any number of processes on any machines do them, and their parts together are
// the table that one process writes.
package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/job"
	"finetune/learner/parts"
	"finetune/learner/runs"
)

// New is a job to plan.
type New struct {
	Place    string    // of the job: a folder or the URL of a bucket
	Input    string    // a folder, also of a bucket, a tar, a file of paths, or - for paths on In
	In       io.Reader // standard input
	TaskRows int
	Float16  bool   // features in half the space
	Finetune string // version of the program
}

// Here says where things are on this machine, if not where they were planned.
type Here struct {
	Model, Photographs string // "": as planned
	Threads, Workers   int    // 0: one a core
}

// openers open what computes the tasks of a kind of job.
var openers = map[string]func(j *job.Job, here Here, ui runs.UI) (job.Computer, error){
	Score: openScore, parts.Kind: openFeatures,
}

// Open loads what a job needs. Another model, library or build than the job was planned for
// is failure.Data. The Computer is the caller's to close.
func Open(j *job.Job, here Here, ui runs.UI) (job.Computer, error) {
	open, known := openers[j.Kind]
	if !known {
		return nil, failure.Usage(fmt.Errorf("tasks: a job of kind %q, which this version does not know", j.Kind))
	}
	return open(j, here, ui)
}

// options reads the options of a job into o: known fields alone.
func options(j *job.Job, o any) error {
	d := json.NewDecoder(bytes.NewReader(j.Options))
	d.DisallowUnknownFields()
	if err := d.Decode(o); err != nil {
		return failure.Data(fmt.Errorf("tasks: options of the job: %w; plan it again", err))
	}
	return nil
}

// items are the photographs of a task, by their paths.
func items(root string, paths []string) []dataset.Item {
	list := make([]dataset.Item, len(paths))
	for i, path := range paths {
		list[i] = dataset.Item{Path: path, File: file(root, path), Label: -1}
	}
	return list
}

// file is where the photograph of a path is. Nothing is cleaned: what follows SHARD.tar is
// the name of a member, which may begin with "./".
func file(root, path string) string {
	at := filepath.FromSlash(naming.UnescapePath(path))
	if filepath.IsAbs(at) {
		return at
	}
	return root + string(filepath.Separator) + at
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
		if _, err := reading.Stat(filepath.Dir(it.File)); err == nil {
			folders++
		}
	}
	if folders > 0 && len(items) < many {
		return nil
	}
	return fmt.Errorf("tasks: none of the %s is on this machine, the first is %s; mount their folder, or "+
		"name it with --photographs", plural.Count(len(items), "photograph"), items[0].File)
}
