package train

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"finetune/audit"
	"finetune/calibration"
	"finetune/dataset"
	"finetune/head"
	"finetune/learner/runs"
	"finetune/logistic"
)

const (
	// enough training photographs to measure a temperature on: of more, not all folds are trained.
	enough = 2000
	// fewest training photographs that say something about a temperature.
	fewest = 20
)

// heldOut are predictions of photographs by models that were not trained on them.
type heldOut struct {
	items []dataset.Item
	logp  []float32 // [len(items), classes]
	valid bool      // the validation photographs, by the run's own model
}

// calibrate measures the temperature and the limits of prediction sets on held-out photographs.
func (tr *training) calibrate(h *heldOut) runs.Calibration {
	if h == nil || len(h.items) < fewest {
		return runs.Calibration{}
	}
	rows := runs.Judged(h.logp, h.items, len(tr.Set.Classes), tr.Set.Multi)
	c := runs.Calibration{HeldOut: len(h.items), Valid: h.valid, Temperature: rows.Temperature()}
	if !tr.Set.Multi {
		logp := slices.Clone(h.logp)
		calibration.Scale(logp, rows.Classes, false, c.Temperature)
		c.Limits = calibration.NewLimits(logp, rows.Labels, rows.Classes)
	}
	return c
}

// holdOut trains heads of folds for the temperature, where the head's choice has not. It is
// nil, with a reason said, where that cannot be done; a run that is trained does not fail by it.
func (tr *training) holdOut(ctx context.Context) (*heldOut, error) {
	if len(tr.features.Train.Items) < fewest {
		return nil, nil
	}
	d := tr.rows()
	of := tr.fold(d)
	logp, folded, err := tr.mlpOutOfFold(ctx, d, enough)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		tr.UI.Warn("probabilities are as the head gives them, without a temperature: %v", err)
		return nil, nil
	}
	h := &heldOut{}
	for i, f := range of {
		if f < folded {
			h.items = append(h.items, tr.features.Train.Items[i])
			h.logp = append(h.logp, logp[i*d.Classes:(i+1)*d.Classes]...)
		}
	}
	return h, nil
}

// mlpOutOfFold are log-probabilities of heads that train as the configuration says, and the
// number of folds that have them: all, or so many that most photographs do.
func (tr *training) mlpOutOfFold(ctx context.Context, d logistic.Data, most int) ([]float32, int, error) {
	of, out := tr.fold(d), make([]float32, len(d.Rows)*d.Classes)
	folded, have := 0, 0
	for fold := range slices.Max(of) + 1 {
		if have >= most {
			break
		}
		f := WithoutFold(tr.features, of, fold)
		have, folded = have+f.Valid.Len(), fold+1
		if f.Valid.Len() == 0 {
			continue
		}
		m, err := (&training{Setup: tr.Setup, run: tr.run, features: f, started: tr.started}).foldHead(ctx)
		if err != nil {
			return nil, 0, err
		}
		_, logp, err := m.Validate(ctx)
		if err != nil {
			return nil, 0, err
		}
		logistic.Scatter(out, logp, of, fold, d.Classes)
	}
	return out, folded, nil
}

// foldHead trains a head on a fold's photographs. One that begins with a loaded head begins
// with one that was trained as that was, on these photographs.
func (tr *training) foldHead(ctx context.Context) (*headModel, error) {
	t, m, err := tr.newFit(ctx)
	if err != nil {
		return nil, err
	}
	if tr.Config.Train.Load != "" {
		if err := tr.loadFold(ctx, m); err != nil {
			return nil, err
		}
	}
	return m, t.Run(ctx)
}

// loadFold puts into m the weights of a head that was trained as the one that --load names.
func (tr *training) loadFold(ctx context.Context, m *headModel) error {
	path, err := headPath(tr.Config.Train.Load, tr.run)
	if err != nil {
		return err
	}
	before, err := runs.ReadConfig(filepath.Dir(path))
	if err != nil || before.Train.HeadKind() != runs.HeadMLP || before.Train.Unfreeze {
		return errLoaded
	}
	s, err := tr.Setup.With(before.Images.Augment, func(im *runs.Images, t *runs.Training) {
		im.Augment, im.Views, *t = before.Images.Augment, before.Images.Views, before.Train
	})
	if err != nil {
		return err
	}
	first, err := (&training{Setup: s, run: tr.run, features: tr.features, started: tr.started}).foldHead(ctx)
	if err != nil {
		return err
	}
	return m.head.Restore(first.head.State())
}

var errLoaded = errors.New("how the loaded head was trained is not known")

// calibrated is a head whose log-probabilities a temperature has scaled.
type calibrated struct {
	*head.Head
	temperature float64      // 0: none
	plane       *audit.Plane // nil: how odd a row is is not known
}

// odd is how unlike the training photographs a row is, 0 where that is not known.
func (c calibrated) odd(row []float32) float32 {
	if c.plane == nil {
		return 0
	}
	return c.plane.Oddness(row)
}

// Predict returns log-probabilities [len(rows), classes].
func (c calibrated) Predict(rows [][]float32) ([]float32, error) {
	logp, err := c.Head.Predict(rows)
	if err == nil {
		c.scale(logp)
	}
	return logp, err
}

// scale turns what the head says into what Predict returns, in place.
func (c calibrated) scale(logp []float32) {
	if c.temperature > 0 {
		calibration.Scale(logp, c.Config.Classes, c.Config.Multi, c.temperature)
	}
}

// unseen are the validation photographs' log-probabilities as a figure may be measured on them: with
// the temperature, or, where that is of these photographs, each with one of the others.
func (tr *training) unseen(c runs.Calibration, raw, scaled []float32) []float32 {
	if !c.Valid {
		return scaled
	}
	items := tr.features.Valid.Items
	rows := runs.Judged(raw, items, len(tr.Set.Classes), tr.Set.Multi)
	return rows.Crossed(logistic.Folds(len(items), rows.Labels, folds, tr.Config.Train.Seed))
}

// honesty says what the temperature made of the validation photographs' predictions.
func (tr *training) honesty(c runs.Calibration, raw, unseen []float32) *runs.Calibrated {
	if c.Temperature == 0 {
		return nil
	}
	items, classes := tr.features.Valid.Items, len(tr.Set.Classes)
	out := &runs.Calibrated{Temperature: c.Temperature, HeldOut: c.HeldOut, Valid: c.Valid}
	out.Raw.Loss = runs.Measure(raw, items, classes, tr.Set.Multi).Loss
	if !tr.Set.Multi {
		y := runs.Labels(items)
		before, _ := calibration.Error(raw, y, classes)
		after, chance := calibration.Error(unseen, y, classes)
		out.Raw.ECE, out.ECE, out.ByChance = &before, &after, &chance
	}
	return out
}
