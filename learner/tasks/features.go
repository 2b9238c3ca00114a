package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"finetune/activations"
	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/job"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/scores"
)

// Features is the kind of jobs whose rows are what a frozen body makes of photographs.
const Features = "precompute"

// FeatureOptions are what the rows depend on besides photographs; in job.json.
type FeatureOptions struct {
	Body      runs.BodyConfig `json:"body"`
	Images    runs.Images     `json:"images"`
	Root      string          `json:"root"`   // the folder that paths are below
	Device    string          `json:"device"` // cpu or cuda
	NoTF32    bool            `json:"no_tf32,omitempty"`
	MaxPixels int64           `json:"max_pixels,omitempty"` // 0: the default
}

// PlanFeatures writes a job that computes features: a column for each, f_0, f_1 …
func PlanFeatures(ctx context.Context, n New, c runs.Config, ui runs.UI) (*job.Job, error) {
	if p := c.Body.Precision; p == runs.Int8 || p == runs.AutoPrecision {
		return nil, failure.Usage(fmt.Errorf("tasks: --body-precision %s needs training photographs, which a job does not "+
			"have; use float32, float16 or bfloat16", p))
	}
	s, err := features.OpenBody(c, ui)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	o := FeatureOptions{Body: s.Config.Body, Images: s.Config.Images, NoTF32: c.Machine.NoTF32,
		MaxPixels: c.Machine.MaxPixels}
	o.Device, _ = onnx.Chosen(s.Config.Machine.Device) // opening the body has said why auto is no GPU
	if o.Body.File != "" {
		if o.Body.File, err = filepath.Abs(o.Body.File); err != nil {
			return nil, fmt.Errorf("tasks: %w", err)
		}
	}
	return n.plan(ctx, Features, featureNeeds(s), func(root string) any { o.Root = root; return o }, ui)
}

func featureNeeds(s *features.Setup) job.Needs {
	k := s.Key("")
	return job.Needs{Model: digest.Of(k.Body, k.Cut, k.Precision), Runtime: s.Runtime.Version,
		Reading: fmt.Sprintf("%s, %d px", k.Preprocess, k.Size)}
}

// extractor computes features with a body that stays loaded.
type extractor struct {
	s    *features.Setup
	root string
}

func openFeatures(j *job.Job, here Here, ui runs.UI) (job.Computer, error) {
	var o FeatureOptions
	if err := options(j, &o); err != nil {
		return nil, err
	}
	if o.Root == "" || o.MaxPixels < 0 {
		return nil, failure.Data(errors.New("tasks: options of the job: no root, or a number that makes no sense; plan it " +
			"again"))
	}
	c := runs.Config{Body: o.Body, Images: o.Images, Machine: runs.Machine{Device: o.Device, NoTF32: o.NoTF32,
		MaxPixels: o.MaxPixels, Threads: here.Threads, Workers: here.Workers}}
	c.Body.Digest = ""
	if _, err := os.Stat(o.Body.File); err == nil {
		c.Body.Name = o.Body.File
	}
	c.Body.Name = cmp.Or(here.Model, c.Body.Name)
	s, err := features.OpenBody(c, ui)
	if err != nil {
		return nil, fmt.Errorf("%w (the body of the job; --model names it where it is elsewhere)", err)
	}
	if err := j.Needs.Met(featureNeeds(s)); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.Body.Name, err), s.Close())
	}
	return &extractor{s, cmp.Or(here.Photographs, o.Root)}, nil
}

// Compute implements job.Computer. Features of a photograph that cannot be read are empty.
func (e *extractor) Compute(ctx context.Context, t job.Task) (r job.Rows, err error) {
	list, n := items(e.root, t), e.s.Body.Spec.Features()
	r.Columns = []scores.Column{{Name: "path"}, {Name: "status"}, {Name: "reason"}}
	for i := range n {
		r.Columns = append(r.Columns, scores.Column{Name: fmt.Sprintf("f_%d", i), Number: true})
	}
	err = e.s.Stream(ctx, list, func(i int, row []float32, bad *activations.Bad) error {
		status, reason := scores.OK, ""
		if bad != nil {
			status, reason, row = bad.Status, bad.Reason, slices.Repeat([]float32{scores.None}, n)
		}
		cells := make(scores.Row, 0, n+3)
		cells = append(cells, scores.Cell{Text: list[i].Path}, scores.Cell{Text: status}, scores.Cell{Text: reason})
		for _, v := range row {
			cells = append(cells, scores.Cell{Number: v})
		}
		r.Rows, r.Status = append(r.Rows, cells), append(r.Status, status)
		return nil
	})
	if err == nil && !slices.Contains(r.Status, scores.OK) {
		err = absent(list)
	}
	return r, err
}

// Close implements job.Computer.
func (e *extractor) Close() error { return e.s.Close() }
