// Package jobtest makes finished jobs of made-up features, for tests and benchmarks of what
// is trained on them.
package jobtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"finetune/internal/rng"
	"finetune/job"
	"finetune/learner/parts"
	"finetune/learner/runs"
	"finetune/scores"
)

// Made are labelled rows. Each class has a mean of its own, around which rows are normally
// distributed, so that a head can learn them.
type Made struct {
	Train, Valid   int // rows
	Width, Classes int
	TaskRows       int
	Multi          bool // every third photograph has the next class too
	Bad            int  // every so manieth photograph cannot be read; 0: all can
	Workers        int  // 0: one
	Options        parts.Options
}

// Class is the name of class i.
func Class(i int) string { return fmt.Sprintf("class-%03d", i) }

// Write plans the job at place and does its tasks.
func (m Made) Write(ctx context.Context, place string) error {
	o := m.Options
	o.Root, o.Device = "/nowhere", "cpu"
	o.Labels = &parts.Labels{Multi: m.Multi}
	if m.Multi {
		o.Labels.Data = runs.DataConfig{LabelSep: ";"}
	}
	for i := range m.Classes {
		o.Labels.Classes = append(o.Labels.Classes, Class(i))
	}
	options, err := json.Marshal(o)
	if err != nil {
		return err
	}
	j, err := job.Plan(ctx, place, job.Spec{Version: job.Grouped, Kind: parts.Kind, Finetune: "test", Options: options,
		Needs: job.Needs{Model: "m", Reading: "r", Runtime: "1"}, TaskRows: m.TaskRows}, m.inputs)
	if err != nil {
		return err
	}
	defer j.Close()
	n := max(m.Workers, 1)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			errs[i] = j.Work(ctx, computer{m}, job.Share{I: i, N: n}, func(job.Done) error { return nil })
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (m Made) inputs(yield func(string) error) error {
	for i := range m.Train + m.Valid {
		split := parts.Train
		if i >= m.Train {
			split = parts.Valid
		}
		label := Class(i % m.Classes)
		if m.Multi && i%3 == 0 && i%m.Classes+1 < m.Classes {
			label += ";" + Class(i%m.Classes+1)
		}
		text, err := parts.Input{Split: split, Label: label, Path: strconv.Itoa(i) + ".jpg"}.Text()
		if err != nil {
			return err
		}
		if err := yield(text); err != nil {
			return err
		}
	}
	return nil
}

// Features are those of photograph i.
func (m Made) Features(row []float32, i int) {
	s := rng.New(1, uint64(i))
	for k := range row {
		row[k] = float32(s.Float64()+s.Float64()+s.Float64()) - 1.5
		if k%m.Classes == i%m.Classes {
			row[k] += .3
		}
	}
}

// computer makes up features.
type computer struct{ m Made }

// Compute implements job.Computer.
func (c computer) Compute(ctx context.Context, t job.Task) (r job.Rows, err error) {
	r.Columns, r.Packing = parts.Columns(true, c.m.Width), c.m.Options.Packing
	row := make([]float32, c.m.Width)
	for _, text := range t.Inputs {
		in, err := parts.ParseInput(text)
		if err != nil {
			return r, err
		}
		i, err := strconv.Atoi(strings.TrimSuffix(in.Path, ".jpg"))
		if err != nil {
			return r, err
		}
		status, reason, group := scores.OK, "", in.Group(c.m.Multi)
		c.m.Features(row, i)
		if r.Packing == scores.Float16 {
			if err := parts.Round(row); err != nil {
				return r, err
			}
		}
		if c.m.Bad > 0 && i%c.m.Bad == 0 {
			status, reason, group = "unreadable", "made up", ""
			for k := range row {
				row[k] = scores.None
			}
		}
		r.Rows = append(r.Rows, parts.Cells(&in, status, reason, row))
		r.Status, r.Group = append(r.Status, status), append(r.Group, group)
	}
	return r, ctx.Err()
}

// Close implements job.Computer.
func (computer) Close() error { return nil }
