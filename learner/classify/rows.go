package classify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/runs"
	"finetune/scores"
)

// Table is the form of the rows that options ask for. Errors are failure.Usage.
func (c *Classifier) Table(o ScoreOptions) (*scores.Table, error) {
	if o.TTA > 0 && c.TakesPhotographs() {
		return nil, failure.Usage(fmt.Errorf("learner: %s: exported with --uint8, so it crops photographs itself "+
			"and cannot be used with --tta; score the RUN, or an export without --uint8", c.Source))
	}
	o.Table.Multi, o.Table.Separator = c.Multi, c.Separator
	return scores.NewTable(c.Classes, o.Table)
}

// Rows computes the rows of items, in their order, with the status of each: those that
// Score writes. Nothing is read from a cache or kept; of o, TTA and Table count. All rows
// are in memory.
func (c *Classifier) Rows(ctx context.Context, items []dataset.Item, o ScoreOptions,
	ui runs.UI) (t *scores.Table, rows []scores.Row, status []string, err error) {
	o.NoCache = true
	if t, err = c.Table(o); err != nil {
		return nil, nil, nil, err
	}
	show, end := ui.Progress("score", "images")
	defer end()
	keep := func(chunk []scores.Row) error {
		for _, r := range chunk {
			last := len(r) - 1
			rows, status = append(rows, slices.Clip(r[:last])), append(status, r[last].Text)
		}
		return nil
	}
	s := &scorer{c: c, o: o, items: items, table: t, keep: keep, report: &ScoreReport{}, show: show}
	if err := errors.Join(s.run(ctx), s.close()); err != nil {
		return nil, nil, nil, err
	}
	if len(rows) != len(items) {
		return nil, nil, nil, fmt.Errorf("learner: %s for %s", plural.Count(len(rows), "row"),
			plural.Count(len(items), "file"))
	}
	return t, rows, status, nil
}

// Reading says how a photograph's file becomes the network's input: equal texts, equal numbers.
func (c *Classifier) Reading() string { return c.key.Preprocess }
