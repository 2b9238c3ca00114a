package parts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/job"
	"finetune/learner/runs"
	"finetune/scores"
)

// Set are the labelled rows of a finished job. Close it.
type Set struct {
	Job     *job.Job
	Options Options
	Width   int             // features a row
	Counts  []dataset.Count // readable photographs of each class; nil with several labels a photograph
	Skipped int             // photographs that could not be read

	train, valid, test []int32     // readable rows of each part
	held               []int32     // of train, kept from it; nil: none
	stride             int         // of training rows to one that is held
	offset             map[int]int // of the first held row, by part
	columns            columns

	mu    sync.Mutex
	cells map[string]int // number of a cell of the column label
	lists [][]int        // of each cell, its labels
}

// columns are the places of those that every row has, among the texts.
type columns struct{ path, status, reason, label, split int }

// Open reads what the parts of the job at place say of themselves: how many rows each has
// of which split and class. Memory grows by a few bytes a part. Errors: a job that is not
// finished, or without labels, is failure.Usage or failure.Data.
func Open(ctx context.Context, place string) (_ *Set, err error) {
	j, err := job.Open(ctx, place)
	if err != nil {
		return nil, err
	}
	s := &Set{Job: j, cells: map[string]int{}}
	if err = s.open(ctx); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return s, nil
}

func (s *Set) open(ctx context.Context) (err error) {
	if s.Job.Kind != Kind {
		return failure.Usage(fmt.Errorf("train: %s is a job of kind %s; a head is trained on the features that `finetune "+
			"plan precompute` plans", s.Job, s.Job.Kind))
	}
	if s.Options, err = ParseOptions(s.Job.Options); err != nil {
		return err
	}
	if s.Options.Labels == nil {
		return failure.Usage(fmt.Errorf("train: %s: its photographs have no labels; plan the job again over a folder "+
			"with a folder for each class, or with --labels FILE.csv", s.Job))
	}
	for i, class := range s.Options.Labels.Classes {
		s.cells[class], s.lists = i, append(s.lists, []int{i})
	}
	n := s.Job.Tasks
	s.train, s.valid, s.test = make([]int32, n), make([]int32, n), make([]int32, n)
	if err := s.count(ctx); err != nil {
		return err
	}
	return s.look(ctx)
}

// Close gives the job's connections back. A nil Set is fine.
func (s *Set) Close() error {
	if s == nil {
		return nil
	}
	return s.Job.Close()
}

// count adds up the groups of all parts.
func (s *Set) count(ctx context.Context) error {
	l := s.Options.Labels
	if !l.Multi {
		s.Counts = make([]dataset.Count, len(l.Classes))
		for i, c := range l.Classes {
			s.Counts[i].Class = c
		}
	}
	return s.Job.Describe(ctx, func(a job.About) error {
		for status, n := range a.Status {
			if status != scores.OK {
				s.Skipped += n
			}
		}
		for group, n := range a.Groups {
			split, label, _ := strings.Cut(group, "\t")
			var of []int32
			var count func(*dataset.Count) *int
			switch split {
			case Train:
				of, count = s.train, func(c *dataset.Count) *int { return &c.Train }
			case Valid:
				of, count = s.valid, func(c *dataset.Count) *int { return &c.Valid }
			case Test:
				of, count = s.test, func(c *dataset.Count) *int { return &c.Test }
			default:
				return s.damaged(a.Task, fmt.Errorf("rows of the split %q", split))
			}
			of[a.Task] += int32(n)
			if i, known := s.cells[label]; known && s.Counts != nil && i < len(s.Counts) {
				*count(&s.Counts[i]) += n
			}
		}
		return nil
	})
}

// look reads the columns off the first part, and refuses what cannot be trained on.
func (s *Set) look(ctx context.Context) error {
	if s.Rows(Train) < 2 || s.Rows(Valid) < 1 {
		return failure.Data(fmt.Errorf("train: %s: %d readable to train on and %d to validate on; at least two and one "+
			"are needed", s.Job, s.Rows(Train), s.Rows(Valid)))
	}
	for _, c := range s.Counts {
		if c.Train == 0 {
			return failure.Data(fmt.Errorf("train: %s: the class %q has no readable training photograph", s.Job, c.Class))
		}
	}
	stop := errors.New("columns are known")
	err := s.Job.Blocks(ctx, 0, func(list []scores.Column, _ scores.Block) error {
		at := map[string]int{}
		for _, c := range list {
			if !c.Number {
				at[c.Name] = len(at)
				continue
			}
			if s.Width == 0 && c.Name != "f_0" {
				return s.damaged(0, fmt.Errorf("a column %q of numbers before f_0", c.Name))
			}
			s.Width++
		}
		k := &s.columns
		for name, to := range map[string]*int{"path": &k.path, "status": &k.status, "reason": &k.reason, "label": &k.label,
			"split": &k.split} {
			var there bool
			if *to, there = at[name]; !there {
				return s.damaged(0, fmt.Errorf("it has no column %s", name))
			}
		}
		return stop
	})
	if !errors.Is(err, stop) {
		return err
	}
	return nil
}

// counts are how many readable rows each part has of a split.
func (s *Set) counts(split string) []int32 {
	return map[string][]int32{Train: s.train, Valid: s.valid, Test: s.test, Held: s.held}[split]
}

// Rows is the number of readable photographs of a split.
func (s *Set) Rows(split string) (n int) {
	for _, k := range s.counts(split) {
		n += int(k)
	}
	return n
}

// readable is how many photographs of part n could be read.
func (s *Set) readable(n int) int {
	rows := s.train[n] + s.valid[n] + s.test[n]
	if s.held != nil {
		rows += s.held[n]
	}
	return int(rows)
}

func (s *Set) damaged(part int, err error) error {
	return failure.Data(fmt.Errorf("train: %s: parts/%08d.parquet: damaged: %w; delete it, and run the job again", s.Job,
		part, err))
}

// cell is the number of what the column label holds, the same in each process only where a
// photograph has one label: then it is the class.
func (s *Set) cell(text string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, known := s.cells[text]; known {
		return i, nil
	}
	l := s.Options.Labels
	if !l.Multi {
		return 0, fmt.Errorf("the label %q is none of the job's classes", text)
	}
	list := []int{}
	for _, name := range strings.Split(text, l.Separator()) {
		i, known := slices.BinarySearch(l.Classes, name)
		if !known && text != "" {
			return 0, fmt.Errorf("the label %q is none of the job's classes", name)
		}
		if known {
			list = append(list, i)
		}
	}
	s.lists = append(s.lists, list)
	s.cells[strings.Clone(text)] = len(s.lists) - 1
	return len(s.lists) - 1, nil
}

// labels are the classes of a cell.
func (s *Set) labels(cell int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists[cell]
}

// Row is a readable photograph, valid during the call that hands it over.
type Row struct {
	Path     string
	Cell     int // of its label
	Features []float32
}

// Each hands over the readable rows of a split in part n, in their order.
func (s *Set) Each(ctx context.Context, n int, split string, yield func(Row) error) error {
	left, of, trained := int(s.counts(split)[n]), split, 0
	if split == Held {
		of = Train
	}
	err := s.Job.Blocks(ctx, n, func(_ []scores.Column, b scores.Block) error {
		width := len(b.Numbers) / max(b.Rows, 1)
		if width != s.Width {
			return s.damaged(n, fmt.Errorf("rows of %s, other parts have %d", plural.Count(width, "feature"), s.Width))
		}
		splits, status := b.Texts[s.columns.split], b.Texts[s.columns.status]
		for i := range b.Rows {
			if splits[i] != of || status[i] != scores.OK {
				continue
			}
			if of == Train {
				if trained++; s.isHeld(n, trained-1) != (split == Held) {
					continue
				}
			}
			if left--; left < 0 {
				return s.damaged(n, errors.New("more rows than it says"))
			}
			cell, err := s.cell(b.Texts[s.columns.label][i])
			if err != nil {
				return s.damaged(n, err)
			}
			row := Row{b.Texts[s.columns.path][i], cell, b.Numbers[i*width : (i+1)*width]}
			if err := yield(row); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err == nil && left > 0 {
		err = s.damaged(n, fmt.Errorf("%s of the split %s less than it says", plural.Count(left, "row"), split))
	}
	return err
}

// unreadable hands over those of part n.
func (s *Set) unreadable(ctx context.Context, n int, yield func(runs.Skipped) error) error {
	c := s.columns
	return s.Job.Blocks(ctx, n, func(_ []scores.Column, b scores.Block) error {
		for i := range b.Rows {
			status := b.Texts[c.status][i]
			if status == scores.OK {
				continue
			}
			err := yield(runs.Skipped{Split: strings.Clone(b.Texts[c.split][i]), Path: strings.Clone(b.Texts[c.path][i]),
				Status: strings.Clone(status), Reason: strings.Clone(b.Texts[c.reason][i])})
			if err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}
