package parts

import (
	"context"
	"strings"

	"finetune/dataset"
	"finetune/head"
	"finetune/learner/runs"
	"finetune/metrics"
)

// block is how many rows are predicted at once.
const block = 4096

// Predicted hands over readable rows of a split, a block at a time, with what h says of them:
// items, which have a path and labels alone, and log-probabilities [len(items), classes]. Both
// are valid during the call. Rows are in memory block by block.
func (s *Set) Predicted(ctx context.Context, split string, h *head.Head,
	yield func(items []dataset.Item, logp []float32) error) error {
	items, flat := make([]dataset.Item, 0, block), make([]float32, 0, block*s.Width)
	end := func() error {
		rows := make([][]float32, len(items))
		for i := range rows {
			rows[i] = flat[i*s.Width : (i+1)*s.Width]
		}
		logp, err := h.Predict(rows)
		if err == nil {
			err = yield(items, logp)
		}
		items, flat = items[:0], flat[:0]
		return err
	}
	for n, rows := range s.counts(split) {
		if rows == 0 {
			continue
		}
		err := s.Each(ctx, n, split, func(r Row) error {
			items, flat = append(items, s.item(r)), append(flat, r.Features...)
			if len(items) < block {
				return nil
			}
			return end()
		})
		if err != nil {
			return err
		}
	}
	if len(items) == 0 {
		return nil
	}
	return end()
}

// item is what is known of a row's photograph.
func (s *Set) item(r Row) dataset.Item {
	it := dataset.Item{Path: strings.Clone(r.Path), Label: -1}
	if s.Options.Labels.Multi {
		it.Labels = s.labels(r.Cell)
	} else {
		it.Label = r.Cell
	}
	return it
}

// Measure measures h on the validation rows.
func (s *Set) Measure(ctx context.Context, h *head.Head) (runs.Score, error) {
	sum := s.Tally()
	err := s.Predicted(ctx, Valid, h, func(items []dataset.Item, logp []float32) error {
		sum.Add(items, logp)
		return nil
	})
	return sum.Score(), err
}

// Tally measures predictions that come block by block.
type Tally struct {
	loss, accuracy float64 // sums
	n, classes     int
	multi          bool
}

// Tally is one of no rows.
func (s *Set) Tally() *Tally {
	return &Tally{classes: len(s.Options.Labels.Classes), multi: s.Options.Labels.Multi}
}

// Add takes rows with log-probabilities [len(items), classes].
func (t *Tally) Add(items []dataset.Item, logp []float32) {
	part, k := runs.Measure(logp, items, t.classes, t.multi), float64(len(items))
	t.loss, t.accuracy, t.n = t.loss+part.Loss*k, t.accuracy+part.Accuracy*k, t.n+len(items)
}

// Score is that of all rows so far.
func (t *Tally) Score() (s runs.Score) {
	s.Loss, s.Accuracy = t.loss/float64(t.n), t.accuracy/float64(t.n)
	s.Interval[0], s.Interval[1] = metrics.Wilson(s.Accuracy, t.n)
	return s
}

// Majority is the most frequent class of the validation rows; nil with several labels a photograph.
func (s *Set) Majority() *runs.Majority {
	if s.Counts == nil {
		return nil
	}
	n := make([]int, len(s.Counts))
	for i, c := range s.Counts {
		n[i] = c.Valid
	}
	return runs.MajorityIn(s.Options.Labels.Classes, n, s.Rows(Valid))
}

// Unreadable hands over the photographs that could not be read, in the order of the job, from
// the parts that have any.
func (s *Set) Unreadable(ctx context.Context, yield func(runs.Skipped) error) error {
	for n := range s.Job.Tasks {
		if s.readable(n) == s.Job.RowsOf(n) {
			continue
		}
		if err := s.unreadable(ctx, n, yield); err != nil {
			return err
		}
	}
	return nil
}
