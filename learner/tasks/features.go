package tasks

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"finetune/activations"
	"finetune/internal/failure"
	"finetune/job"
	"finetune/learner/features"
	"finetune/learner/parts"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/scores"
)

// PlanFeatures writes a job that computes features: a column for each, f_0, f_1 … Where the
// photographs have labels, which the configuration's data may say, each row has its label and
// its split too, so that a head can be trained on the parts.
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
	o := parts.Options{Body: s.Config.Body, Images: s.Config.Images, NoTF32: c.Machine.NoTF32,
		MaxPixels: c.Machine.MaxPixels}
	o.Device, _ = onnx.Chosen(s.Config.Machine.Device) // opening the body has said why auto is no GPU
	if o.Body.File != "" {
		if o.Body.File, err = filepath.Abs(o.Body.File); err != nil {
			return nil, fmt.Errorf("tasks: %w", err)
		}
	}
	version, labels, in, err := n.features(ctx, c, ui)
	if err != nil {
		return nil, err
	}
	defer in.close()
	o.Root, o.Labels, o.Ranges = in.root, labels, in.ranges
	if labels != nil {
		o.Packing = scores.Float32
	}
	if n.Float16 {
		version, o.Packing = job.Grouped, scores.Float16
	}
	return n.plan(ctx, in, job.Spec{Version: version, Kind: parts.Kind, Needs: parts.Needs(s)}, o, ui)
}

// features is what features are planned over: labelled photographs where there are labels.
func (n New) features(ctx context.Context, c runs.Config, ui runs.UI) (int, *parts.Labels, *input, error) {
	c.Data.Path = n.Input
	labels, in, none, err := n.labelled(&c, ui)
	if err != nil {
		return 0, nil, nil, err
	}
	if labels == nil {
		l := &labeller{config: c, ui: ui}
		in, err := openInput(ctx, n.Input, n.In, ui, l.tars)
		if l.labels != nil {
			return job.Grouped, l.labels, in, err
		}
		if err == nil && none != nil && !in.ranges && c.Data.ValidPct > 0 { // which asked for labels
			return 0, nil, nil, errors.Join(none, in.close())
		}
		if err == nil && none != nil && !in.ranges {
			ui.Say("labels     none, so that no head can be trained on the job: %v", none)
		}
		return job.Plain, nil, in, err
	}
	return job.Grouped, labels, in, nil
}

// extractor computes features with a body that stays loaded.
type extractor struct {
	s       *features.Setup
	root    string
	labels  *parts.Labels
	packing scores.Packing
	ranges  bool
}

func openFeatures(j *job.Job, here Here, ui runs.UI) (job.Computer, error) {
	o, err := parts.ParseOptions(j.Options)
	if err != nil {
		return nil, err
	}
	root, err := below(o.Root, here.Photographs)
	if err != nil {
		return nil, err
	}
	s, err := parts.OpenBody(j, here.Model, runs.Machine{Threads: here.Threads, Workers: here.Workers}, ui)
	if err != nil {
		return nil, err
	}
	return &extractor{s, root, o.Labels, o.Packing, o.Ranges}, nil
}

// Compute implements job.Computer. Features of a photograph that cannot be read are empty.
func (e *extractor) Compute(ctx context.Context, t job.Task) (r job.Rows, err error) {
	known, err := e.inputs(t)
	if err != nil {
		return r, err
	}
	paths := make([]string, len(known))
	for i, in := range known {
		paths[i] = in.Path
	}
	if e.ranges {
		if paths, err = located(e.root, paths); err != nil {
			return r, err
		}
		for i, path := range paths {
			known[i].Path = path
		}
	}
	list, n := items(e.root, paths), e.s.Body.Spec.Features()
	r.Columns, r.Packing = parts.Columns(e.labels != nil, n), e.packing
	err = e.s.Stream(ctx, list, func(i int, row []float32, bad *activations.Bad) error {
		status, reason := scores.OK, ""
		if bad != nil {
			status, reason, row = bad.Status, bad.Reason, slices.Repeat([]float32{scores.None}, n)
		} else if e.packing == scores.Float16 {
			if err := parts.Round(row); err != nil {
				return fmt.Errorf("tasks: %s: %w", list[i].File, err)
			}
		}
		r.Rows, r.Status = append(r.Rows, parts.Cells(&known[i], status, reason, row)), append(r.Status, status)
		switch {
		case e.labels == nil:
		case bad == nil:
			r.Group = append(r.Group, known[i].Group(e.labels.Multi))
		default:
			r.Group = append(r.Group, "")
		}
		return nil
	})
	if err == nil && !slices.Contains(r.Status, scores.OK) {
		err = absent(list)
	}
	return r, err
}

// inputs are the photographs of a task, with what is known of labelled ones.
func (e *extractor) inputs(t job.Task) ([]parts.Input, error) {
	list := make([]parts.Input, len(t.Inputs))
	for i, text := range t.Inputs {
		if list[i].Path = text; e.labels == nil {
			continue
		}
		var err error
		if list[i], err = parts.ParseInput(text); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Close implements job.Computer.
func (e *extractor) Close() error { return e.s.Close() }
