package train

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"finetune/dataset"
	"finetune/head"
	"finetune/learner/features"
	"finetune/learner/look"
	"finetune/learner/report"
	"finetune/learner/runs"
	"finetune/metrics"
)

// finish writes everything a run leaves once the head is trained, the summary and the checksums last.
func (tr *training) finish(ctx context.Context, o outcome, took time.Duration) (*runs.Summary, error) {
	r, f, t, m := tr.run, tr.features, o.fit, o.model
	if err := tr.checkpoint(t); err != nil {
		return nil, err
	}
	known, err := tr.calibration(ctx, &o)
	if err != nil {
		return nil, err
	}
	if err := runs.WriteCalibration(r.Path(runs.CalibrationFile), known); err != nil { // no head without it
		return nil, err
	}
	if err := tr.saveHeads(m.head); err != nil {
		return nil, err
	}
	h := calibrated{m.head, known.Temperature, known.Plane}
	_, raw, err := m.Validate(ctx)
	if err != nil {
		return nil, err
	}
	logp := slices.Clone(raw)
	h.scale(logp)
	unseen := tr.unseen(known, raw, logp)
	if err := tr.writePredictions(h, logp); err != nil {
		return nil, err
	}
	if err := tr.writeMaps(ctx, m.head, logp); err != nil {
		return nil, err
	}
	found, err := runs.ReadAudit(r.Dir)
	if err != nil {
		return nil, err
	}
	sum := &runs.Summary{
		Curve: found.Curve,
		Run:   filepath.ToSlash(r.Name), Body: tr.Config.Body.Name, Classes: tr.Set.Classes,
		TrainImages: len(f.Train.Items), ValidImages: len(f.Valid.Items), Skipped: len(f.Skipped),
		Valid: runs.Measure(unseen, f.Valid.Items, len(tr.Set.Classes), tr.Set.Multi), Counts: f.Counts(tr.Set.Classes),
		Head: o.choice, Majority: runs.MajorityOf(f.Valid.Items, tr.Set.Classes, tr.Set.Multi), Groups: tr.Groups,
		Calibration: tr.honesty(known, raw, unseen),
	}
	if n := f.Aside.Len(); n > 0 {
		logp, err := h.Predict(f.Aside.Rows)
		if err != nil {
			return nil, err
		}
		sum.Aside = &runs.Aside{Images: n, Score: runs.Measure(logp, f.Aside.Items, len(tr.Set.Classes), tr.Set.Multi)}
	}
	if t.Cycles > 0 {
		e := runs.Measure(t.Ensemble(), f.Valid.Items, len(tr.Set.Classes), tr.Set.Multi)
		sum.Ensemble = &e
	}
	if n := tr.Config.Train.TTA; n > 0 {
		if sum.TTA, err = tr.scoreTTA(ctx, h, f.Valid, n); err != nil {
			return nil, err
		}
	}
	if tr.Int8Path != "" {
		if err := tr.KeepInt8(r); err != nil {
			return nil, err
		}
	}
	if p := tr.Config.Body.Precision; p != "" && p != runs.Float32 {
		if sum.Float32, err = tr.inFloat32(ctx); err != nil {
			return nil, err
		}
	}
	sum.Seconds = runs.Seconds{Precompute: f.Seconds, Train: took.Seconds(), Total: time.Since(tr.started).Seconds()}
	if err := runs.WriteJSON(r.Path(runs.SummaryFile), sum); err != nil {
		return nil, err
	}
	return sum, r.WriteSums(runs.ConfigFile, runs.PhotographsFile, runs.AuditFile, runs.HistoryFile, runs.StepsFile,
		runs.PredictionsFile, runs.SkippedFile, runs.NeighboursFile, runs.MapsFile, runs.HeadFile, runs.CalibrationFile,
		runs.StateFile, runs.SummaryFile, runs.Int8File)
}

// hold makes predictions of held-out photographs, where the choice of the head has not.
func (tr *training) hold(ctx context.Context, o *outcome) (err error) {
	if o.held == nil {
		o.held, err = tr.holdOut(ctx)
	}
	return err
}

// calibration is what held-out training photographs say of the trained head.
func (tr *training) calibration(ctx context.Context, o *outcome) (_ runs.Calibration, err error) {
	if err := tr.hold(ctx, o); err != nil {
		return runs.Calibration{}, err
	}
	c := tr.calibrate(o.held)
	c.Plane, err = tr.plane(ctx)
	return c, err
}

// writePredictions writes what the head says of every photograph, of those that
// validate logp, what could not be read, and what lies near the mistakes.
func (tr *training) writePredictions(h calibrated, logp []float32) error {
	r, f := tr.run, tr.features
	rows, err := tr.predictAll(h, logp)
	if err != nil {
		return err
	}
	if err := r.WritePredictions(rows, tr.Set.Classes, tr.Set.Multi, tr.Config.Data.LabelSep); err != nil {
		return err
	}
	if err := runs.WriteSkipped(r.Path(runs.SkippedFile), f.Skipped); err != nil {
		return err
	}
	if tr.Set.Multi {
		return nil
	}
	return r.WriteNeighbours(look.Neighbours(f.Valid, f.Train, logp, len(tr.Set.Classes)), tr.Set.Classes)
}

// writeMaps writes where the head looks on the photographs that the report shows. A run does not
// fail by it.
func (tr *training) writeMaps(ctx context.Context, h *head.Head, logp []float32) error {
	if !tr.Report {
		return nil
	}
	shown, err := report.Shown(tr.run.Dir)
	if err != nil {
		return err
	}
	var items []dataset.Item
	var rows [][]float32
	var of []int
	valid, k := tr.features.Valid, len(tr.Set.Classes)
	for i, it := range valid.Items {
		if slices.Contains(shown, it.Path) {
			items, rows = append(items, it), append(rows, valid.Rows[i])
			of = append(of, metrics.Best(logp[i*k:(i+1)*k]))
		}
	}
	maps, err := look.Maps(ctx, tr.Setup, h, items, rows, of)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		tr.UI.Warn("the report does not show where the model looks: %v", err)
	}
	return tr.run.WriteMaps(maps, tr.Set.Classes)
}

func (tr *training) scoreTTA(ctx context.Context, h calibrated, s features.Split, n int) (*runs.Score, error) {
	logp, err := tr.tta(ctx, h, s, n)
	if err != nil {
		return nil, err
	}
	out := runs.Measure(logp, s.Items, len(tr.Set.Classes), tr.Set.Multi)
	return &out, nil
}

// inFloat32 scores the same training on the float32 features of the same
// photographs, which shows what fewer bits cost; nil where they are not all cached.
func (tr *training) inFloat32(ctx context.Context) (*runs.Score, error) {
	plain := tr.InFloat32()
	score, err := tr.trainAndScore(ctx, plain)
	if errors.Is(err, features.ErrNotCached) {
		tr.UI.Say("float32    to see how %s changes the accuracy, run `finetune precompute %s` in float32, with "+
			"the same flags for body and images, then train again", tr.Config.Body.Precision, tr.Config.Data.Path)
		return nil, nil
	}
	return score, errors.Join(err, plain.Close())
}

// trainAndScore trains a head as the configuration of s says and keeps nothing of it.
func (tr *training) trainAndScore(ctx context.Context, s *features.Setup) (*runs.Score, error) {
	f, err := s.Precompute(ctx)
	if err != nil {
		return nil, err
	}
	plain := &training{Setup: s, run: tr.run, features: f, started: tr.started}
	o, err := plain.trained(ctx, false)
	if err != nil {
		return nil, err
	}
	if err := plain.hold(ctx, &o); err != nil {
		return nil, err
	}
	logp, err := calibrated{o.model.head, plain.calibrate(o.held).Temperature, nil}.Predict(f.Valid.Rows)
	if err != nil {
		return nil, err
	}
	score := runs.Measure(logp, f.Valid.Items, len(s.Set.Classes), s.Set.Multi)
	return &score, nil
}
