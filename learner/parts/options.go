// Package parts reads the features that a job of kind precompute computed, as the rows
// that a head is trained and measured on: out of core, in a window that does not grow with
// their number.
package parts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/job"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/scores"
)

// Kind is the kind of jobs whose rows are what a frozen body makes of photographs.
const Kind = "precompute"

// Options are what the rows of a job depend on besides photographs; in job.json.
type Options struct {
	Body      runs.BodyConfig `json:"body"`
	Images    runs.Images     `json:"images"`
	Root      string          `json:"root"`   // the folder that paths are below
	Device    string          `json:"device"` // cpu or cuda
	NoTF32    bool            `json:"no_tf32,omitempty"`
	MaxPixels int64           `json:"max_pixels,omitempty"` // 0: the default
	Labels    *Labels         `json:"labels,omitempty"`     // nil: its photographs have none
	Ranges    bool            `json:"ranges,omitempty"`     // photographs are members of tars, and tasks say where they are
	Packing   scores.Packing  `json:"packing,omitempty"`    // of the features in parts
}

// Labels say what a job's photographs are labelled with, and how they were divided.
type Labels struct {
	Data    runs.DataConfig `json:"data"` // where the labels came from
	Seed    uint64          `json:"seed"` // that drew the validation photographs, if nothing else told them apart
	Classes []string        `json:"classes"`
	Multi   bool            `json:"multi,omitempty"` // any number of labels a photograph, joined by Separator
}

// Separator stands between the labels of one photograph, in a row's column label.
func (l *Labels) Separator() string { return l.Data.LabelSep }

// ParseOptions reads the options of a job: known fields alone.
func ParseOptions(data json.RawMessage) (o Options, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err = d.Decode(&o)
	packings := []scores.Packing{scores.Separate, scores.Float32, scores.Float16}
	if err == nil && (o.Root == "" || o.MaxPixels < 0 || o.Labels != nil && len(o.Labels.Classes) == 0 ||
		!slices.Contains(packings, o.Packing)) {
		err = errors.New("no root, no classes, or a number that makes no sense")
	}
	if err != nil {
		return o, failure.Data(fmt.Errorf("tasks: options of the job: %w; plan it again", err))
	}
	return o, nil
}

// Needs are what a worker must have to compute rows with s.
func Needs(s *features.Setup) job.Needs {
	k := s.Key("")
	return job.Needs{Model: digest.Of(k.Body, k.Cut, k.Precision), Runtime: s.Runtime.Version,
		Reading: fmt.Sprintf("%s, %d px", k.Preprocess, k.Size)}
}

// Names of the splits, in the column split.
const (
	Train = "train"
	Valid = "valid"
	Test  = "test"
)

// Input is a labelled photograph as a task lists it.
type Input struct{ Split, Label, Path string }

// Text is the input's line. A path may have any character, so it comes last.
func (in Input) Text() (string, error) {
	if strings.ContainsRune(in.Label, '\t') {
		return "", failure.Data(fmt.Errorf("tasks: the class %q has a tab in its name; rename it", in.Label))
	}
	return in.Split + "\t" + in.Label + "\t" + in.Path, nil
}

// ParseInput reads a task's line.
func ParseInput(text string) (in Input, err error) {
	f := strings.SplitN(text, "\t", 3)
	if len(f) != 3 || f[0] != Train && f[0] != Valid && f[0] != Test {
		return in, failure.Data(fmt.Errorf("tasks: %.80q is no labelled photograph", text))
	}
	return Input{f[0], f[1], f[2]}, nil
}

// Group is what a readable row counts as in its part's description. Labels of photographs
// that have several would make too many groups.
func (in Input) Group(multi bool) string {
	if multi {
		return in.Split
	}
	return in.Split + "\t" + in.Label
}

// OpenBody opens the body of a job, or model in its place, with the threads and workers of m.
// Another body, library or build than the job was planned for is failure.Data.
func OpenBody(j *job.Job, model string, m runs.Machine, ui runs.UI) (*features.Setup, error) {
	o, err := ParseOptions(j.Options)
	if err != nil {
		return nil, err
	}
	m.Device, m.NoTF32, m.MaxPixels = o.Device, o.NoTF32, o.MaxPixels
	c := runs.Config{Body: o.Body, Images: o.Images, Machine: m}
	c.Body.Digest = ""
	if _, err := os.Stat(o.Body.File); err == nil {
		c.Body.Name = o.Body.File
	}
	c.Body.Name = cmp.Or(model, c.Body.Name)
	s, err := features.OpenBody(c, ui)
	if err != nil {
		return nil, fmt.Errorf("%w (the body of the job; --model names it where it is elsewhere)", err)
	}
	if err := j.Needs.Met(Needs(s)); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.Body.Name, err), s.Close())
	}
	return s, nil
}
