package learner

import (
	"context"
	"fmt"
	"math"
	"time"

	"finetune/dataset"
	"finetune/head"
	"finetune/internal/failure"
	"finetune/internal/rng"
	"finetune/metrics"
	"finetune/schedule"
)

// split is one part of the data set with its features.
type split struct {
	items []dataset.Item
	rows  [][]float32 // [len(items)][features]
}

// source gives the rows to train on in an epoch, in the order of its items.
type source struct {
	items []dataset.Item
	rows  func(ctx context.Context, epoch int) ([][]float32, error)
}

// progress is all that a fit remembers besides tensors.
type progress struct {
	Step     int               `json:"step"`
	Smoothed schedule.Smoothed `json:"smoothed"`
	History  []Epoch           `json:"history"`
	Best     *Epoch            `json:"best,omitempty"`
	SWA      int               `json:"swa,omitempty"`  // models averaged so far
	Done     bool              `json:"done,omitempty"` // stopped early or at the end
}

// fitState trains a head on features. Its state after step k is a function of the
// configuration, the features and k alone.
type fitState struct {
	config  Training
	multi   bool
	classes int
	head    *head.Head
	trainer *head.Trainer
	sched   schedule.Schedule
	batches int
	train   source
	valid   split
	save    func(*fitState) error // writes a checkpoint; nil for none
	row     func(Epoch)           // shows a finished epoch; nil for none
	tick    func(step, steps int)

	progress
	losses    []float64 // of each step, dropout on
	best, swa []head.Tensor
	current   shuffled
	saved     time.Time
}

// checkpointEvery bounds how much work a kill can cost.
const checkpointEvery = 2 * time.Second

// run goes on from where the fit is to its end. When ctx ends it writes a
// checkpoint and returns ctx's error.
func (f *fitState) run(ctx context.Context) error {
	f.saved = time.Now()
	for !f.Done && f.Step < f.sched.Steps() {
		start := time.Now()
		if err := f.epoch(ctx); err != nil {
			if ctx.Err() != nil {
				return f.interrupted(ctx.Err())
			}
			return err
		}
		if err := f.finishEpoch(start); err != nil {
			return err
		}
		if f.save != nil && time.Since(f.saved) > checkpointEvery {
			if err := f.save(f); err != nil {
				return err
			}
			f.saved = time.Now()
		}
	}
	f.Done = true
	return f.choose()
}

func (f *fitState) interrupted(cause error) error {
	if f.save == nil {
		return cause
	}
	if err := f.save(f); err != nil {
		return err
	}
	return fmt.Errorf("training stopped after step %d of %d: %w", f.Step, f.sched.Steps(), cause)
}

// epoch takes the remaining steps of the current epoch.
func (f *fitState) epoch(ctx context.Context) error {
	for end := (f.Step/f.batches + 1) * f.batches; f.Step < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		loss, err := f.step(ctx, f.Step)
		if err != nil {
			return err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return failure.Usage(fmt.Errorf("learner: the loss is %v at step %d; lower --lr (it is %g) or add --clip 1", loss, f.Step, f.config.LR))
		}
		f.Step++
		f.losses = append(f.losses, loss)
		f.Smoothed.Add(loss)
		if f.tick != nil {
			f.tick(f.Step, f.sched.Steps())
		}
	}
	return nil
}

// step takes the batch of a global step and returns its loss.
func (f *fitState) step(ctx context.Context, step int) (float64, error) {
	epoch, i := step/f.batches, step%f.batches
	if f.current.order == nil || f.current.epoch != epoch {
		rows, err := f.train.rows(ctx, epoch)
		if err != nil {
			return 0, err
		}
		f.current = shuffled{epoch, rows, f.order(epoch)}
	}
	lo, hi := head.Bounds(len(f.current.order), f.config.BatchSize, i)
	return f.trainer.Step(f.batch(f.current.rows, f.current.order[lo:hi]), f.rates(step))
}

// shuffled is one epoch's training rows and the order they are taken in.
type shuffled struct {
	epoch int
	rows  [][]float32
	order []int
}

func (f *fitState) rates(step int) head.Rates {
	momentum := f.config.Momentum
	if m := f.sched.Momentum(step); m != schedule.DefaultMomentum {
		momentum = m // a schedule that moves it wins
	}
	return head.Rates{LR: f.config.LR * f.sched.Factor(step), Momentum: momentum, Decay: f.config.WeightDecay}
}

// order is the epoch's order of training rows: a permutation, or with balanced
// sampling a draw in which every class is equally likely.
func (f *fitState) order(epoch int) []int {
	n := len(f.train.items)
	if f.config.Balance != "sampling" {
		return head.Order(n, f.config.Seed, epoch)
	}
	byClass := make([][]int, f.classes)
	for i, it := range f.train.items {
		byClass[it.Label] = append(byClass[it.Label], i)
	}
	s, order := rng.New(f.config.Seed, rng.Text("balanced"), uint64(epoch)), make([]int, n)
	for i := range order {
		class := byClass[i%f.classes]
		for len(class) == 0 {
			class = byClass[s.Intn(f.classes)]
		}
		order[i] = class[s.Intn(len(class))]
	}
	for i, j := range s.Perm(n) {
		if j > i {
			order[i], order[j] = order[j], order[i]
		}
	}
	return order
}

func (f *fitState) batch(rows [][]float32, index []int) head.Batch {
	b := head.Batch{Rows: make([][]float32, len(index))}
	if f.multi {
		b.Targets = make([]float32, len(index)*f.classes)
	} else {
		b.Labels = make([]int, len(index))
	}
	for k, i := range index {
		b.Rows[k] = rows[i]
		it := f.train.items[i]
		if !f.multi {
			b.Labels[k] = it.Label
			continue
		}
		for _, c := range it.Labels {
			b.Targets[k*f.classes+c] = 1
		}
	}
	return b
}

// finishEpoch validates, records, and looks after the best and averaged models.
func (f *fitState) finishEpoch(start time.Time) error {
	loss, accuracy, err := validate(f.head, f.valid, f.classes, f.multi)
	if err != nil {
		return err
	}
	e := Epoch{
		Epoch: len(f.History), LR: []float64{f.rates(f.Step - 1).LR},
		TrainLoss: f.Smoothed.Value(), ValidLoss: loss, Accuracy: accuracy,
		Seconds: time.Since(start).Seconds(),
	}
	f.History = append(f.History, e)
	if f.row != nil {
		f.row(e)
	}
	if f.config.Best || f.config.Patience > 0 {
		f.keepBest(e)
	}
	if f.config.SWA > 0 && len(f.History) >= f.config.SWA {
		f.average()
	}
	if p := f.config.Patience; p > 0 && e.Epoch-f.Best.Epoch >= p {
		f.Done = true
	}
	return nil
}

// keepBest remembers the weights where accuracy is higher, or equal with a
// lower loss (fast.ai's best_save_name); a loss of NaN never counts.
func (f *fitState) keepBest(e Epoch) {
	if math.IsNaN(e.ValidLoss) {
		return
	}
	if b := f.Best; b == nil || e.Accuracy > b.Accuracy || e.Accuracy == b.Accuracy && e.ValidLoss < b.ValidLoss {
		f.Best, f.best = &e, f.head.State()
	}
}

// average moves the averaged weights towards the current ones (Izmailov et al.
// 2018): w_swa = (w_swa*k + w)/(k+1).
func (f *fitState) average() {
	now, k := f.head.State(), float32(f.SWA)
	if f.SWA == 0 {
		f.swa = now
	} else {
		for i, t := range now {
			for j, w := range t.Data {
				f.swa[i].Data[j] = (f.swa[i].Data[j]*k + w) / (k + 1)
			}
		}
	}
	f.SWA++
}

// choose leaves in the head what the configuration asked for: the last weights,
// the best ones, or the average.
func (f *fitState) choose() error {
	switch {
	case f.config.SWA > 0 && f.SWA > 0:
		return f.head.Restore(f.swa)
	case (f.config.Best || f.config.Patience > 0) && f.best != nil:
		return f.head.Restore(f.best)
	}
	return nil
}

// validate returns the mean loss and the accuracy on a split.
func validate(h *head.Head, s split, classes int, multi bool) (loss, accuracy float64, err error) {
	logp, err := h.Predict(s.rows)
	if err != nil {
		return 0, 0, err
	}
	loss, accuracy = measure(logp, s.items, classes, multi)
	return loss, accuracy, nil
}

// measure is the mean loss and the accuracy of log-probabilities [len(items), classes].
func measure(logp []float32, items []dataset.Item, classes int, multi bool) (loss, accuracy float64) {
	if multi {
		t := targets(items, classes)
		return metrics.MultiLogLoss(logp, t), metrics.MultiAccuracy(logp, t, 0.5)
	}
	y := labels(items)
	return metrics.LogLoss(logp, y, classes), metrics.Accuracy(logp, y, classes)
}

func labels(items []dataset.Item) []int {
	y := make([]int, len(items))
	for i, it := range items {
		y[i] = it.Label
	}
	return y
}

func targets(items []dataset.Item, classes int) []float32 {
	t := make([]float32, len(items)*classes)
	for i, it := range items {
		for _, c := range it.Labels {
			t[i*classes+c] = 1
		}
	}
	return t
}
