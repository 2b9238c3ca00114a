package learner

import (
	"context"
	"fmt"
	"math"
	"time"

	"finetune/dataset"
	"finetune/head"
	"finetune/internal/failure"
	"finetune/metrics"
	"finetune/onnx/weights"
	"finetune/schedule"
)

// progress is all that a fit remembers besides tensors.
type progress struct {
	Step     int               `json:"step"`
	Smoothed schedule.Smoothed `json:"smoothed"`
	History  []Epoch           `json:"history"`
	Best     *Epoch            `json:"best,omitempty"`
	Averaged int               `json:"averaged,omitempty"` // weights in the SWA mean
	Cycles   int               `json:"cycles,omitempty"`   // snapshots taken
	Done     bool              `json:"done,omitempty"`     // stopped early or at the end
}

// fit trains a model. Its state after step k is a function of the
// configuration, the photographs and k alone.
type fit struct {
	config  Training
	multi   bool
	classes int
	train   []dataset.Item
	valid   []dataset.Item
	model   model
	sched   schedule.Schedule
	batches int // an epoch

	save     func(*fit) error              // writes a checkpoint; nil for none
	snapshot func(f *fit, cycle int) error // keeps a cycle's weights; nil for none
	row      func(Epoch)                   // shows a finished epoch; nil for none
	tick     func(step, steps int)

	progress
	losses     []float64        // of each step, dropout on
	best, mean []weights.Tensor // weights of the best epoch, SWA's mean
	votes      []float32        // sum of the cycles' probabilities [valid, classes]
	order      []int            // of the epoch in shuffled
	shuffled   int
	saved      time.Time
}

// checkpointEvery bounds how much work a kill can cost.
const checkpointEvery = 2 * time.Second

// run goes on from where the fit is to its end. When ctx ends it writes a
// checkpoint and returns ctx's error.
func (f *fit) run(ctx context.Context) error {
	f.saved = time.Now()
	for !f.Done && f.Step < f.sched.Steps() {
		start := time.Now()
		if err := f.epoch(ctx); err != nil {
			if ctx.Err() != nil {
				return f.interrupted(ctx.Err())
			}
			if failure.System(err) { // the work so far is good
				return f.interrupted(fmt.Errorf("%w, with --resume", err))
			}
			return err
		}
		if err := f.finishEpoch(ctx, start); err != nil {
			return err
		}
		if err := f.checkpoint(false); err != nil {
			return err
		}
	}
	f.Done = true
	if err := f.choose(ctx); err != nil {
		return err
	}
	return f.checkWeights()
}

// checkWeights refuses weights that are no numbers, which a loss need not show: a
// ReLU can make a 0 of them, and what is kept may be an average.
func (f *fit) checkWeights() error {
	list, err := f.model.weights()
	if err != nil {
		return err
	}
	for _, t := range list {
		for _, v := range t.Data {
			if !finite(float64(v)) {
				return f.diverged(fmt.Sprintf("the weight %s holds %g after step %d", t.Name, v, f.Step))
			}
		}
	}
	return nil
}

// checkpoint saves if there is somewhere to save and it is time, or now.
func (f *fit) checkpoint(now bool) error {
	if f.save == nil || !now && time.Since(f.saved) < checkpointEvery {
		return nil
	}
	f.saved = time.Now()
	return f.save(f)
}

func (f *fit) interrupted(cause error) error {
	if err := f.checkpoint(true); err != nil {
		return err
	}
	return fmt.Errorf("training stopped after step %d of %d: %w", f.Step, f.sched.Steps(), cause)
}

// epoch takes the remaining steps of the current epoch.
func (f *fit) epoch(ctx context.Context) error {
	for end := (f.Step/f.batches + 1) * f.batches; f.Step < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		loss, err := f.step(ctx, f.Step)
		if err != nil {
			return err
		}
		if !finite(loss) {
			return f.diverged(fmt.Sprintf("the loss is %v at step %d", loss, f.Step))
		}
		f.Step++
		f.losses = append(f.losses, loss)
		f.Smoothed.Add(loss)
		if f.tick != nil {
			f.tick(f.Step, f.sched.Steps())
		}
		if f.Step < end { // at an epoch's end it waits for the validation
			if err := f.checkpoint(false); err != nil {
				return err
			}
		}
	}
	return nil
}

// diverged says what is no number any more, and what to do.
func (f *fit) diverged(what string) error {
	rate := fmt.Sprintf("%g", f.config.LR)
	if len(f.config.LRs) > 0 {
		rate = fmt.Sprint(f.config.LRs)
	}
	decay := ""
	if d := f.config.WeightDecay; d > 0 {
		decay = fmt.Sprintf(" or the weight decay (%g)", d)
	}
	return failure.Usage(fmt.Errorf("learner: %s; lower the learning rate (it is %s)%s or add --clip 1", what, rate, decay))
}

func finite(v float64) bool { return v-v == 0 }

// step takes the batch of a global step and returns its loss.
func (f *fit) step(ctx context.Context, step int) (float64, error) {
	epoch, i := step/f.batches, step%f.batches
	if f.order == nil || f.shuffled != epoch {
		f.order, f.shuffled = f.epochOrder(epoch), epoch
	}
	lo, hi := head.Bounds(len(f.order), f.config.BatchSize, i)
	f.announce(step + 1)
	return f.model.step(ctx, epoch, f.order[lo:hi], f.rates(step))
}

// announce tells a model that loads photographs which ones the next steps take.
func (f *fit) announce(step int) {
	p, ok := f.model.(interface{ prefetch(next []upcoming) })
	if !ok {
		return
	}
	var next []upcoming
	order, of := f.order, f.shuffled
	for ; len(next) < stepsAhead && step < f.sched.Steps(); step++ {
		epoch := step / f.batches
		if epoch != of {
			order, of = f.epochOrder(epoch), epoch
		}
		lo, hi := head.Bounds(len(order), f.config.BatchSize, step%f.batches)
		next = append(next, upcoming{epoch, order[lo:hi]})
	}
	p.prefetch(next)
}

func (f *fit) rates(step int) rates {
	return f.config.ratesAt(f.sched, len(f.model.groups()), step)
}

// epochOrder is the order of the training photographs in an epoch: shuffled, or
// with balanced sampling a draw in which every class is equally likely.
func (f *fit) epochOrder(epoch int) []int {
	if f.config.Balance == "sampling" {
		return head.BalancedOrder(labels(f.train), f.classes, f.config.Seed, epoch)
	}
	return head.Order(len(f.train), f.config.Seed, epoch)
}

// finishEpoch validates, records, and looks after the best, averaged and
// end-of-cycle weights.
func (f *fit) finishEpoch(ctx context.Context, start time.Time) error {
	logp, err := f.model.predict(ctx)
	if err != nil {
		return err
	}
	loss, accuracy := measure(logp, f.valid, f.classes, f.multi)
	if !finite(loss) {
		return f.diverged(fmt.Sprintf("the validation loss is %v after step %d", loss, f.Step))
	}
	e := Epoch{
		Epoch: len(f.History), LR: f.rates(f.Step - 1).LR,
		TrainLoss: f.Smoothed.Value(), ValidLoss: loss, Accuracy: accuracy,
		Seconds: time.Since(start).Seconds(),
	}
	f.History = append(f.History, e)
	if f.row != nil {
		f.row(e)
	}
	if f.config.Best || f.config.Patience > 0 {
		if err := f.keepBest(e); err != nil {
			return err
		}
	}
	if f.config.SWA > 0 && len(f.History) >= f.config.SWA {
		if err := f.average(); err != nil {
			return err
		}
	}
	if f.config.Snapshots && schedule.CycleEnd(f.sched, f.Step-1) {
		if err := f.vote(logp); err != nil {
			return err
		}
	}
	if p := f.config.Patience; p > 0 && f.Best != nil && e.Epoch-f.Best.Epoch >= p {
		f.Done = true
	}
	return nil
}

// keepBest remembers the weights where accuracy is higher, or equal with a
// lower loss (fast.ai's best_save_name); a loss of NaN never counts.
func (f *fit) keepBest(e Epoch) (err error) {
	if math.IsNaN(e.ValidLoss) {
		return nil
	}
	if b := f.Best; b == nil || e.Accuracy > b.Accuracy || e.Accuracy == b.Accuracy && e.ValidLoss < b.ValidLoss {
		f.Best = &e
		f.best, err = f.model.weights()
	}
	return err
}

// average moves the averaged weights towards the current ones (Izmailov et al.
// 2018): mean = (mean*k + w)/(k+1).
func (f *fit) average() error {
	k := float32(f.Averaged)
	now, err := f.model.weights()
	if err != nil {
		return err
	}
	if f.Averaged == 0 {
		f.mean = now
	} else {
		mean := weights.ByName(f.mean) // a resumed fit has them in another order
		for _, t := range now {
			m := mean[t.Name].Data
			for j, w := range t.Data {
				m[j] = (m[j]*k + w) / (k + 1)
			}
		}
	}
	f.Averaged++
	return nil
}

// vote adds the probabilities of a finished cycle to the ensemble's.
func (f *fit) vote(logp []float32) error {
	if f.votes == nil {
		f.votes = make([]float32, len(logp))
	}
	for i, v := range logp {
		f.votes[i] += float32(math.Exp(float64(v)))
	}
	f.Cycles++
	if f.snapshot == nil {
		return nil
	}
	return f.snapshot(f, f.Cycles-1)
}

// ensemble is the mean of the cycles' probabilities, as logarithms.
func (f *fit) ensemble() []float32 {
	out := make([]float32, len(f.votes))
	for i, v := range f.votes {
		out[i] = float32(math.Log(max(float64(v)/float64(f.Cycles), minProbability)))
	}
	return out
}

// choose leaves in the model what the configuration asked for: the average, the
// best weights, or the last ones.
func (f *fit) choose(ctx context.Context) error {
	switch {
	case f.Averaged > 0:
		if err := f.model.set(f.mean); err != nil {
			return err
		}
		order, batches := f.epochOrder(0), make([][]int, f.batches)
		for i := range batches {
			lo, hi := head.Bounds(len(order), f.config.BatchSize, i)
			batches[i] = order[lo:hi]
		}
		return f.model.reestimate(ctx, batches)
	case f.best != nil:
		return f.model.set(f.best)
	}
	return nil
}

// measure is the mean loss and the accuracy of log-probabilities [len(items), classes].
func measure(logp []float32, items []dataset.Item, classes int, multi bool) (loss, accuracy float64) {
	if multi {
		t := targets(items, everything(len(items)), classes)
		return metrics.MultiLogLoss(logp, t), metrics.MultiAccuracy(logp, t, 0.5)
	}
	y := labels(items)
	return metrics.LogLoss(logp, y, classes), metrics.Accuracy(logp, y, classes)
}
