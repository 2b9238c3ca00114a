// Package job divides work among any number of processes on any machines.
//
// A job is a folder, on a disk or in a bucket (package store):
//
//	job.json               what is to be computed, and how many tasks there are; written last
//	tasks/NNNNNNNN         the inputs of task N, a line each
//	parts/NNNNNNNN.parquet its result
//	logs/NNNNNNNN*         what computing it took, or why it failed
//
// A task is a number. Its part is a pure function of job.json and the task's file, and
// appears whole and once. So whatever runs a command for each number at least once, in any
// order and on any machine, gives each row exactly once. This package knows neither what
// starts the processes nor what the inputs are: a Computer does the work.
package job

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/store"
)

// Limits of what is read back.
const (
	maxSpec  = 1 << 20 // bytes of job.json
	MaxTasks = 100_000_000
	// MaxTaskRows bounds a task, which one process holds in memory.
	MaxTaskRows = 1_000_000
	maxTask     = 256 << 20 // bytes of a task's file
	maxInput    = 1 << 16   // bytes of an input
)

// Versions of the form of a job. Programs that know the first alone refuse the second.
const (
	Plain   = 1
	Grouped = 2 // parts say how many rows of each group they have, and may pack their numbers
)

// File is the name of what says what a job is, in its folder.
const File = "job.json"

// Spec is job.json: all that the bytes of parts depend on but for the inputs.
type Spec struct {
	Version  int             `json:"version"`  // of this form
	Kind     string          `json:"kind"`     // what is computed, such as score
	Finetune string          `json:"finetune"` // version of the program that planned it
	Options  json.RawMessage `json:"options"`  // an object that the kind understands
	Needs    Needs           `json:"needs"`
	TaskRows int             `json:"task_rows"` // rows a task; the last one may have fewer
	Tasks    int             `json:"tasks"`
	Rows     int64           `json:"rows"`   // of all tasks
	Inputs   string          `json:"inputs"` // SHA-256 of the digests of the tasks' files, in hex
}

// Needs are what every worker must have for equal bytes.
type Needs struct {
	Model   string `json:"model"`   // digest of all that decides the numbers
	Reading string `json:"reading"` // how inputs become what the model takes
	Runtime string `json:"runtime"` // version of ONNX Runtime
}

// Met returns an error unless have is what the job needs. Errors are failure.Data.
func (n Needs) Met(have Needs) error {
	switch {
	case n.Model != have.Model:
		return failure.Data(fmt.Errorf("job: planned for the model with digest %.12s, this one has %.12s; give the model "+
			"that it was planned for, or plan another job", n.Model, have.Model))
	case n.Reading != have.Reading:
		return failure.Data(fmt.Errorf("job: planned for inputs that are read as %q, this program reads them as %q; use the "+
			"same build of finetune on each machine, or plan another job", n.Reading, have.Reading))
	case n.Runtime != have.Runtime:
		return failure.Data(fmt.Errorf("job: planned for ONNX Runtime %s, here is %s; other versions may give other "+
			"numbers: install that one on each machine, or plan another job", n.Runtime, have.Runtime))
	}
	return nil
}

// Job is a planned job. Its methods may be called at once.
type Job struct {
	Spec
	ID    string // SHA-256 of job.json, in hex
	store store.Store
}

// Open reads the job at place, a folder or the URL of a bucket. Close it. Errors: none
// there is failure.Usage, a job.json that is damaged failure.Data.
func Open(ctx context.Context, place string) (*Job, error) {
	s, err := store.Open(ctx, place)
	if err != nil {
		return nil, err
	}
	j, err := open(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return j, nil
}

func open(ctx context.Context, s store.Store) (*Job, error) {
	data, err := s.Get(ctx, File, maxSpec)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure.Usage(fmt.Errorf("job: %s: no %s, so this is no job, or planning it was interrupted; plan it "+
			"with `finetune plan`", s, File))
	}
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	spec, err := parseSpec(data)
	if err != nil {
		return nil, failure.Data(fmt.Errorf("job: %s: %s: %w; plan the job again in another folder", s, File, err))
	}
	return &Job{Spec: spec, ID: digest.Of(string(data)), store: s}, nil
}

// Close gives the connections back.
func (j *Job) Close() error { return j.store.Close() }

// String is the path or the URL.
func (j *Job) String() string { return j.store.String() }

// parseSpec reads job.json: known fields alone, all of them sensible.
func parseSpec(data []byte) (s Spec, err error) {
	if err := strict(data, &s); err != nil {
		return s, err
	}
	if s.Version < Plain || s.Version > Grouped {
		return s, fmt.Errorf("version %d, this program knows %d to %d", s.Version, Plain, Grouped)
	}
	return s, s.check()
}

// check refuses numbers that cannot be a job's.
func (s Spec) check() error {
	object := bytes.TrimSpace(s.Options)
	switch {
	case s.Kind == "" || strings.ContainsFunc(s.Kind, func(r rune) bool { return r < 'a' || r > 'z' }):
		return fmt.Errorf("kind %q", s.Kind)
	case len(object) == 0 || object[0] != '{':
		return errors.New("options are no object")
	case s.Needs.Model == "" || s.Needs.Reading == "" || s.Needs.Runtime == "":
		return errors.New("needs are not complete")
	case s.TaskRows < 1 || s.TaskRows > MaxTaskRows:
		return fmt.Errorf("task_rows %d, expected 1 to %d", s.TaskRows, MaxTaskRows)
	case s.Tasks < 1 || s.Tasks > MaxTasks:
		return fmt.Errorf("tasks %d, expected 1 to %d", s.Tasks, MaxTasks)
	case s.Rows > int64(s.Tasks)*int64(s.TaskRows) || s.Rows <= int64(s.Tasks-1)*int64(s.TaskRows):
		return fmt.Errorf("%s, not those of %s of %d", plural.Count(s.Rows, "row"), plural.Count(s.Tasks, "task"),
			s.TaskRows)
	case !isDigest(s.Inputs):
		return fmt.Errorf("inputs %q is no SHA-256", s.Inputs)
	}
	return nil
}

// isDigest reports whether s is a SHA-256 in hex.
func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && s == strings.ToLower(s)
}

// strict decodes one JSON value of known fields.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more behind its end")
	}
	return nil
}

// RowsOf is how many inputs task i has.
func (s Spec) RowsOf(i int) int {
	return int(min(int64(s.TaskRows), s.Rows-int64(i)*int64(s.TaskRows)))
}

// Names of the files of task i.
func taskFile(i int) string { return fmt.Sprintf("tasks/%08d", i) }
func partFile(i int) string { return fmt.Sprintf("parts/%08d.parquet", i) }
func doneFile(i int) string { return fmt.Sprintf("logs/%08d.json", i) }
func failFile(i int) string { return fmt.Sprintf("logs/%08d.failed.json", i) }

// number is the task of a file's name, between what begins and ends it.
func number(name, before, after string) (int, bool) {
	digits, begins := strings.CutPrefix(name, before)
	digits, ends := strings.CutSuffix(digits, after)
	n, err := strconv.Atoi(digits)
	if !begins || !ends || err != nil || n < 0 || before+fmt.Sprintf("%08d", n)+after != name {
		return 0, false
	}
	return n, true
}

// Number reads the number of a task of this job. Errors are failure.Usage.
func (j *Job) Number(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 || n >= j.Tasks {
		return 0, failure.Usage(fmt.Errorf("job: %s: %.40q is none of its tasks, which are 0 to %d", j, text, j.Tasks-1))
	}
	return n, nil
}
