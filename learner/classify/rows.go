package classify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"finetune/calibration"
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
	var err error
	if o.Table.Limit, err = c.Limit(o.Table.Coverage); err != nil {
		return nil, err
	}
	switch o.Odd {
	case "", OddFlag, OddReject:
	default:
		return nil, failure.Usage(fmt.Errorf("learner: --odd %q; choose flag or reject", o.Odd))
	}
	if o.Odd == OddReject && !c.KnowsOdd() {
		return nil, failure.Usage(fmt.Errorf("learner: %s does not tell odd photographs, as it is of an older finetune; "+
			"train or export it again, or leave --odd out", c.Source))
	}
	o.Table.Oddness = c.KnowsOdd()
	o.Table.Multi, o.Table.Separator = c.Multi, c.Separator
	return scores.NewTable(c.Classes, o.Table)
}

// Limit is the least probability of a class in prediction sets of a coverage; 0 for the coverage 0.
// A coverage that c has no limits for is a usage error.
func (c *Classifier) Limit(coverage float64) (float32, error) {
	switch {
	case coverage == 0:
		return 0, nil
	case !(coverage >= calibration.Least && coverage <= calibration.Most):
		return 0, failure.Usage(fmt.Errorf("learner: --coverage %g: must be from %g to %g", coverage, calibration.Least,
			calibration.Most))
	case c.Multi:
		return 0, failure.Usage(fmt.Errorf("learner: --coverage is for one label a photograph; %s gives several", c.Source))
	case c.Known.Limits == nil:
		return 0, failure.Usage(fmt.Errorf("learner: %s has no limits for --coverage: an older finetune or fewer than 20 "+
			"photographs made it, its whole network was trained, or --raw was given", c.Source))
	}
	return c.Known.Limits.For(coverage), nil
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
