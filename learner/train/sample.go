package train

import (
	"context"
	"errors"
	"slices"

	"finetune/dataset"
	"finetune/internal/plural"
	"finetune/learner/features"
	"finetune/learner/parts"
	"finetune/learner/runs"
	"finetune/metrics"
)

// keepSome keeps rows of a job that one window does not hold from the training, to measure the
// temperature on: of so many rows they are few, and other heads, as of folds, would cost as
// much as this one. It returns how many rows are left to train on.
func (tr *training) keepSome(set *parts.Set) int {
	set.Hold(0, 0)
	if n := set.Rows(parts.Train); n > tr.Config.Train.Window && n/10 >= fewest {
		set.Hold(min(enough, n/10), tr.Config.Train.Seed)
	}
	return set.Rows(parts.Train)
}

// calibrateParts measures the temperature as calibrate does: where one window holds all training
// rows with heads of folds, as in memory, and else on the rows that were kept from the training.
func (tr *training) calibrateParts(ctx context.Context, m *headModel, set *parts.Set) (runs.Calibration, error) {
	items, rows, err := m.rows.(*outOfCore).All(ctx)
	if err != nil {
		return runs.Calibration{}, err
	}
	if rows != nil {
		tr.features = &features.Features{Train: features.Split{Items: items, Rows: rows}}
		h, err := tr.holdOut(ctx)
		return tr.calibrate(h), err
	}
	h := &heldOut{}
	err = set.Predicted(ctx, parts.Held, m.head, func(list []dataset.Item, logp []float32) error {
		h.items, h.logp = append(h.items, list...), append(h.logp, logp...)
		return nil
	})
	tr.features = &features.Features{}
	return tr.calibrate(h), err
}

// Bounds of the tables that a run on a job leaves, which does not grow with the job.
const (
	mostRows    = 100_000
	mostNumbers = 10_000_000
)

// writeSample writes what h says of validation photographs, evenly chosen if they are too many,
// and the first ones that could not be read. It measures h on all validation photographs; its
// calibration error is that of the written ones.
func (tr *training) writeSample(ctx context.Context, h calibrated, known runs.Calibration,
	set *parts.Set) (runs.Score, *runs.Calibrated, error) {
	n, classes := set.Rows(parts.Valid), len(tr.Set.Classes)
	most := max(min(mostRows, mostNumbers/classes), 1)
	every, at := (n+most-1)/most, 0
	before, after := set.Tally(), set.Tally()
	var list []runs.Prediction
	var shown []dataset.Item
	var raw, scaled []float32 // of the written ones
	err := set.Predicted(ctx, parts.Valid, h.Head, func(items []dataset.Item, logp []float32) error {
		plain := slices.Clone(logp)
		h.scale(logp)
		before.Add(items, plain)
		after.Add(items, logp)
		for i, it := range items {
			if at++; (at-1)%every == 0 {
				raw, scaled = append(raw, plain[i*classes:(i+1)*classes]...), append(scaled, logp[i*classes:(i+1)*classes]...)
				shown = append(shown, it)
			}
		}
		return nil
	})
	if err != nil {
		return runs.Score{}, nil, err
	}
	for i, it := range shown {
		lp := scaled[i*classes : (i+1)*classes]
		list = append(list, runs.Prediction{Split: parts.Valid, Path: it.Path, Label: it.Label, Labels: it.Labels,
			Predicted: metrics.Best(lp), LogProb: lp})
	}
	if err := tr.run.WritePredictions(list, tr.Set.Classes, tr.Set.Multi, tr.Config.Data.LabelSep); err != nil {
		return runs.Score{}, nil, err
	}
	if every > 1 {
		tr.UI.Say("written    %s has %d of %s, one in %d; the accuracy is of all", runs.PredictionsFile, len(list),
			plural.Count(n, "validation photograph"), every)
	}
	tr.features.Valid.Items = shown
	honesty := tr.honesty(known, raw, scaled)
	if honesty != nil {
		honesty.Raw.Loss = before.Score().Loss
	}
	return after.Score(), honesty, tr.writeUnreadable(ctx, set)
}

// writeUnreadable writes the first photographs that could not be read.
func (tr *training) writeUnreadable(ctx context.Context, set *parts.Set) error {
	var skipped []runs.Skipped
	full := errors.New("the table is full")
	err := set.Unreadable(ctx, func(s runs.Skipped) error {
		if skipped = append(skipped, s); len(skipped) == mostRows {
			return full
		}
		return nil
	})
	if err != nil && !errors.Is(err, full) {
		return err
	}
	return runs.WriteSkipped(tr.run.Path(runs.SkippedFile), skipped)
}
