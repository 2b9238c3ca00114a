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
	var sum runs.Score
	n, l := 0, s.Options.Labels
	err := s.Predicted(ctx, Valid, h, func(items []dataset.Item, logp []float32) error {
		part := runs.Measure(logp, items, len(l.Classes), l.Multi)
		k := float64(len(items))
		sum.Loss, sum.Accuracy, n = sum.Loss+part.Loss*k, sum.Accuracy+part.Accuracy*k, n+len(items)
		return nil
	})
	if err != nil {
		return sum, err
	}
	sum.Loss, sum.Accuracy = sum.Loss/float64(n), sum.Accuracy/float64(n)
	sum.Interval[0], sum.Interval[1] = metrics.Wilson(sum.Accuracy, n)
	return sum, nil
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
		if int(s.train[n]+s.valid[n]+s.test[n]) == s.Job.RowsOf(n) {
			continue
		}
		if err := s.unreadable(ctx, n, yield); err != nil {
			return err
		}
	}
	return nil
}
