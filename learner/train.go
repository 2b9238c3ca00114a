package learner

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"finetune/dataset"
	"finetune/head"
	"finetune/internal/failure"
	"finetune/metrics"
	"finetune/schedule"
)

// Train trains a head on the features into the run's folder and returns what
// came of it. With a saved state in the folder it goes on from there.
func (l *Learner) Train(ctx context.Context, r *Run, f *Features, started time.Time) (*Summary, error) {
	begin := time.Now()
	t, m, err := l.startFit(ctx, r, f)
	if err != nil {
		return nil, err
	}
	if err := l.resume(r, t); err != nil {
		return nil, err
	}
	if err := l.runFit(ctx, r, t, func(path string) error { return l.saveHead(path, m.head) }); err != nil {
		return nil, err
	}
	return l.finish(ctx, r, f, t, m, Seconds{Precompute: f.Seconds, Train: time.Since(begin).Seconds()}, started)
}

// startFit prepares a fit of a new head or, where the configuration names one, of a loaded head.
func (l *Learner) startFit(ctx context.Context, r *Run, f *Features) (*fit, *headModel, error) {
	t, m, err := l.newFit(ctx, f)
	if err == nil && l.Config.Train.Load != "" {
		err = l.load(m.head, r)
	}
	return t, m, err
}

// runFit runs t to its end with its table, progress, checkpoints and snapshots.
func (l *Learner) runFit(ctx context.Context, r *Run, t *fit, save func(path string) error) error {
	l.header()
	for _, e := range t.History {
		l.row(e)
	}
	show, end := l.ui.Progress("train", "steps")
	defer end()
	t.row, t.tick = l.row, show
	t.save = func(t *fit) error { return l.checkpoint(r, t) }
	t.snapshot = func(_ *fit, cycle int) error { return save(r.saved(fmt.Sprintf("cycle-%d", cycle))) }
	return t.run(ctx)
}

// finish writes everything a run leaves once the head is trained, the summary and the checksums last.
func (l *Learner) finish(ctx context.Context, r *Run, f *Features, t *fit, m *headModel, s Seconds, started time.Time) (*Summary, error) {
	if err := l.checkpoint(r, t); err != nil {
		return nil, err
	}
	if err := l.saveHead(r.Path(headFile), m.head); err != nil {
		return nil, err
	}
	if name := l.Config.Train.Save; name != "" {
		if err := l.saveHead(r.saved(name), m.head); err != nil {
			return nil, err
		}
	}
	if err := l.writePredictions(r, f, m.head); err != nil {
		return nil, err
	}
	logp, err := m.predict(ctx)
	if err != nil {
		return nil, err
	}
	sum := &Summary{
		Run: filepath.ToSlash(r.Name), Body: l.Config.Body.Name, Classes: l.Set.Classes,
		TrainImages: len(f.Train.items), ValidImages: len(f.Valid.items), Skipped: len(f.Skipped),
		Valid: l.score(logp, f.Valid.items), Counts: f.counts(l.Set.Classes), Majority: majority(f.Valid.items, l.Set.Classes, l.Set.Multi),
	}
	if t.Cycles > 0 {
		e := l.score(t.ensemble(), f.Valid.items)
		sum.Ensemble = &e
	}
	if n := l.Config.Train.TTA; n > 0 {
		if sum.TTA, err = l.scoreTTA(ctx, m.head, f.Valid, n); err != nil {
			return nil, err
		}
	}
	if l.int8 != "" {
		if err := l.keepInt8(r); err != nil {
			return nil, err
		}
	}
	if p := l.Config.Body.Precision; p != "" && p != fullPrecision {
		if sum.Float32, err = l.inFloat32(ctx, r); err != nil {
			return nil, err
		}
	}
	s.Total = time.Since(started).Seconds()
	sum.Seconds = s
	if err := writeJSON(r.Path(summaryFile), sum); err != nil {
		return nil, err
	}
	return sum, r.writeSums(configFile, photographsFile, historyFile, stepsFile, predictionsFile, skippedFile, neighboursFile, headFile, stateFile, summaryFile, int8File)
}

// writePredictions writes what the head says of every photograph, what could
// not be read, and what lies near the mistakes.
func (l *Learner) writePredictions(r *Run, f *Features, h *head.Head) error {
	rows, err := l.predictAll(h, f)
	if err != nil {
		return err
	}
	if err := r.writePredictions(rows, l.Set.Classes, l.Set.Multi, l.Config.Data.LabelSep); err != nil {
		return err
	}
	if err := r.writeSkipped(f.Skipped); err != nil {
		return err
	}
	if l.Set.Multi {
		return nil
	}
	logp, err := h.Predict(f.Valid.rows)
	if err != nil {
		return err
	}
	return r.writeNeighbours(neighbours(f.Valid, f.Train, logp, len(l.Set.Classes)), l.Set.Classes)
}

func (l *Learner) scoreTTA(ctx context.Context, h *head.Head, s split, n int) (*Score, error) {
	logp, err := l.TTA(ctx, h, s, n)
	if err != nil {
		return nil, err
	}
	out := l.score(logp, s.items)
	return &out, nil
}

func (l *Learner) score(logp []float32, items []dataset.Item) Score {
	loss, accuracy := measure(logp, items, len(l.Set.Classes), l.Set.Multi)
	return Score{Loss: loss, Accuracy: accuracy, Interval: interval(accuracy, len(items))}
}

// interval is the 95 % Wilson interval of an accuracy on so many photographs.
// With several labels it is one of photographs too, as if each were one
// decision: the labels of one photograph do not err independently.
func interval(accuracy float64, photographs int) [2]float64 {
	lo, hi := metrics.Wilson(accuracy, photographs)
	return [2]float64{lo, hi}
}

// newFit prepares a fit of a fresh head from the configuration, at step 0.
func (l *Learner) newFit(ctx context.Context, f *Features) (*fit, *headModel, error) {
	if err := l.Config.Train.Check(); err != nil {
		return nil, nil, err
	}
	hc, err := l.headConfig(l.Body.Spec.Features())
	if err != nil {
		return nil, nil, err
	}
	h, err := head.New(hc)
	if err != nil {
		return nil, nil, failure.Usage(err)
	}
	if len(f.Train.items) < 2 {
		return nil, nil, failure.Data(fmt.Errorf("learner: %s: %d readable training photographs; two are needed at least", l.Config.Data.name(), len(f.Train.items)))
	}
	options, err := l.headOptions(f.Train)
	if err != nil {
		return nil, nil, err
	}
	trainer, err := head.NewTrainer(h, options)
	if err != nil {
		return nil, nil, failure.Usage(err)
	}
	src, err := l.cachedViews(ctx, f.Train)
	if err != nil {
		return nil, nil, err
	}
	m := &headModel{head: h, trainer: trainer, train: src, valid: f.Valid, classes: len(l.Set.Classes), multi: l.Set.Multi}
	batches := head.Batches(len(f.Train.items), l.Config.Train.BatchSize)
	sched, err := newSchedule(l.Config.Train, batches)
	if err != nil {
		return nil, nil, failure.Usage(err)
	}
	return &fit{
		config: l.Config.Train, multi: l.Set.Multi, classes: len(l.Set.Classes), train: f.Train.items, valid: f.Valid.items,
		model: m, sched: sched, batches: batches,
	}, m, nil
}

// newSchedule is the course that the configuration names, for epochs of batches steps.
func newSchedule(c Training, batches int) (schedule.Schedule, error) {
	clr := append(slices.Clone(c.CLR), 0, 0, 0, 0)[:4]
	switch c.Schedule {
	case "constant":
		return schedule.Constant{Batches: batches, Epochs: c.Epochs}, nil
	case "warm-up":
		return schedule.WarmUp{Batches: batches}, nil
	case "sgdr":
		return schedule.SGDR{Batches: batches, CycleLen: c.CycleLen, Mult: c.CycleMult, Cycles: c.Cycles}, nil
	case "clr":
		s := schedule.CLR{Batches: batches, CycleLen: c.CycleLen, Cycles: c.Cycles, Div: clr[0], CutDiv: clr[1], MomentumMax: clr[2], MomentumMin: clr[3]}
		return s, s.Check()
	case "clr-beta":
		s := schedule.CLRBeta{Batches: batches, CycleLen: c.CycleLen, Cycles: c.Cycles, Div: clr[0], Tail: clr[1], MomentumMax: clr[2], MomentumMin: clr[3]}
		return s, s.Check()
	}
	return nil, fmt.Errorf("--schedule %s: use sgdr, constant, clr, clr-beta or warm-up", c.Schedule)
}

func (l *Learner) headConfig(features int) (head.Config, error) {
	c := head.Config{In: features, Seed: l.Config.Train.Seed}
	if l.Set != nil {
		c.Classes, c.Multi = len(l.Set.Classes), l.Set.Multi
	}
	widths, err := list(l.Config.Train.Hidden, strconv.Atoi)
	if err != nil {
		return c, failure.Usage(fmt.Errorf("--hidden %s: %w", l.Config.Train.Hidden, err))
	}
	drops, err := list(l.Config.Train.Dropout, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
	if err != nil {
		return c, failure.Usage(fmt.Errorf("--dropout %s: %w", l.Config.Train.Dropout, err))
	}
	if len(drops) == 1 { // one share serves every layer
		for range widths {
			drops = append(drops, drops[0])
		}
	}
	c.Hidden, c.Drop = widths, drops
	return c, nil
}

func list[T any](text string, parse func(string) (T, error)) ([]T, error) {
	var out []T
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		v, err := parse(part)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", part)
		}
		out = append(out, v)
	}
	return out, nil
}

func (l *Learner) headOptions(train split) (head.Options, error) {
	c := l.Config.Train
	o := head.Options{Optimizer: c.Optimiser, Decoupled: c.Decoupled, Clip: c.Clip, Seed: c.Seed, Loss: head.Loss{Smoothing: c.Smoothing}}
	switch c.Balance {
	case "", "none":
	case "sampling":
		if l.Set.Multi {
			return o, failure.Usage(fmt.Errorf("--balance sampling is for one label an image; this task has several"))
		}
	case "weights":
		if l.Set.Multi {
			return o, failure.Usage(fmt.Errorf("--balance weights is for one label an image; this task has several"))
		}
		o.Loss.Weights = head.ClassWeights(labels(train.items), len(l.Set.Classes))
	default:
		return o, failure.Usage(fmt.Errorf("--balance %s: use none, weights or sampling", c.Balance))
	}
	return o, nil
}

// header and row print the epoch table in the reference's form.
func (l *Learner) header() {
	last := "accuracy"
	if l.Set.Multi {
		last = "accuracy_thresh"
	}
	l.ui.Header("epoch", "trn_loss", "val_loss", last)
}

func (l *Learner) row(e Epoch) {
	l.ui.Row(strconv.Itoa(e.Epoch), rounded(e.TrainLoss), rounded(e.ValidLoss), rounded(e.Accuracy))
}

// rounded prints with at most six decimals, the shortest form.
func rounded(v float64) string {
	return strconv.FormatFloat(round6(v), 'g', -1, 64)
}
