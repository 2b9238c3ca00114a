package learner

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"finetune/head"
	"finetune/internal/failure"
	"finetune/metrics"
	"finetune/schedule"
)

// Train trains a head on the features into the run's folder and returns what
// came of it. With a saved state in the folder it goes on from there.
func (l *Learner) Train(ctx context.Context, r *Run, f *Features, started time.Time) (*Summary, error) {
	products, err := l.products()
	if err != nil {
		return nil, err
	}
	defer products.Close()
	begin := time.Now()
	fit, err := l.newFit(ctx, f, products)
	if err != nil {
		return nil, err
	}
	if err := l.resume(r, fit); err != nil {
		return nil, err
	}
	l.header()
	for _, e := range fit.History {
		l.row(e)
	}
	fit.save = func(t *fitState) error { return l.checkpoint(r, t) }
	show, end := l.ui.Progress("train", "steps")
	fit.row, fit.tick = l.row, show
	err = fit.run(ctx)
	end()
	if err != nil {
		return nil, err
	}
	train := time.Since(begin).Seconds()
	return l.finish(ctx, r, f, fit, Seconds{Precompute: f.Seconds, Train: train}, started)
}

// finish writes everything a run leaves once the head is trained, the summary last.
func (l *Learner) finish(ctx context.Context, r *Run, f *Features, t *fitState, s Seconds, started time.Time) (*Summary, error) {
	if err := l.checkpoint(r, t); err != nil {
		return nil, err
	}
	if err := l.saveHead(r.Path(headFile), t.head); err != nil {
		return nil, err
	}
	if err := l.writePredictions(r, f, t.head); err != nil {
		return nil, err
	}
	loss, accuracy, err := validate(t.head, f.Valid, len(l.Set.Classes), l.Set.Multi)
	if err != nil {
		return nil, err
	}
	sum := &Summary{
		Run: r.Dir, Body: l.Config.Body.Name, Classes: l.Set.Classes,
		TrainImages: len(f.Train.items), ValidImages: len(f.Valid.items), Skipped: len(f.Skipped),
		Valid: score(loss, accuracy, len(f.Valid.items)),
	}
	if n := l.Config.Train.TTA; n > 0 {
		if sum.TTA, err = l.scoreTTA(ctx, t.head, f.Valid, n); err != nil {
			return nil, err
		}
	}
	s.Total = time.Since(started).Seconds()
	sum.Seconds = s
	return sum, writeJSON(r.Path(summaryFile), sum)
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
	loss, accuracy := measure(logp, s.items, len(l.Set.Classes), l.Set.Multi)
	out := score(loss, accuracy, len(s.items))
	return &out, nil
}

func score(loss, accuracy float64, n int) Score {
	lo, hi := metrics.Wilson(accuracy, n)
	return Score{Loss: loss, Accuracy: accuracy, Interval: [2]float64{lo, hi}}
}

// newFit prepares a fit from the configuration, at step 0.
func (l *Learner) newFit(ctx context.Context, f *Features, p head.Products) (*fitState, error) {
	c := l.Config.Train
	hc, err := l.headConfig(l.Body.Spec.Features())
	if err != nil {
		return nil, err
	}
	h, err := head.New(hc)
	if err != nil {
		return nil, failure.Usage(err)
	}
	h.SetProducts(p)
	if len(f.Train.items) < 2 {
		return nil, failure.Data(fmt.Errorf("learner: %s: %d readable training photographs; two are needed at least", l.Config.Data.Path, len(f.Train.items)))
	}
	src, err := l.cachedViews(ctx, f.Train)
	if err != nil {
		return nil, err
	}
	options, err := l.headOptions(f.Train)
	if err != nil {
		return nil, err
	}
	t, err := head.NewTrainer(h, options)
	if err != nil {
		return nil, failure.Usage(err)
	}
	batches := head.Batches(len(f.Train.items), c.BatchSize)
	return &fitState{
		config: c, multi: l.Set.Multi, classes: len(l.Set.Classes), head: h, trainer: t,
		sched: newSchedule(c, batches), batches: batches, train: src, valid: f.Valid,
	}, nil
}

func newSchedule(c Training, batches int) schedule.Schedule {
	if c.Epochs > 0 {
		return schedule.Constant{Batches: batches, Epochs: c.Epochs}
	}
	return schedule.SGDR{Batches: batches, CycleLen: c.CycleLen, Mult: c.CycleMult, Cycles: c.Cycles}
}

func (l *Learner) headConfig(features int) (head.Config, error) {
	c := head.Config{In: features, Classes: len(l.Set.Classes), Multi: l.Set.Multi, Seed: l.Config.Train.Seed}
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
	case "", "none", "sampling":
	case "weights":
		if l.Set.Multi {
			return o, failure.Usage(fmt.Errorf("--balance weights is for one label an image; this task has several"))
		}
		o.Loss.Weights = classWeights(train, len(l.Set.Classes))
	default:
		return o, failure.Usage(fmt.Errorf("--balance %s: use none, weights or sampling", c.Balance))
	}
	return o, nil
}

// classWeights gives each class the same total weight: n / (classes * count).
func classWeights(train split, classes int) []float32 {
	counts := make([]int, classes)
	for _, it := range train.items {
		counts[it.Label]++
	}
	w := make([]float32, classes)
	for i, n := range counts {
		if n > 0 {
			w[i] = float32(len(train.items)) / float32(classes*n)
		}
	}
	return w
}

// products chooses ONNX Runtime's matrix kernels.
func (l *Learner) products() (*head.ORT, error) { return head.NewORT(l.Config.Machine.Threads) }

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
