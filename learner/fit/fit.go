// Package fit is the training loop over a Model: order, batches, rates, checkpoints,
// the best, averaged and end-of-cycle weights. It knows no photographs and no ONNX.
package fit

import (
	"context"
	"fmt"
	"math"
	"time"

	"finetune/internal/failure"
	"finetune/learner/runs"
	"finetune/metrics"
	"finetune/onnx/weights"
	"finetune/schedule"
)

// progress is all that a fit remembers besides tensors.
type progress struct {
	Step     int               `json:"step"`
	Smoothed schedule.Smoothed `json:"smoothed"`
	History  []runs.Epoch      `json:"history"`
	Best     *runs.Epoch       `json:"best,omitempty"`
	Averaged int               `json:"averaged,omitempty"` // Weights in the SWA mean
	Cycles   int               `json:"cycles,omitempty"`   // snapshots taken
	Done     bool              `json:"done,omitempty"`     // stopped early or at the end
}

// Fit trains a model. Its state after step k is a function of the
// configuration, the photographs and k alone.
type Fit struct {
	Config   runs.Training
	Model    Model
	Draw     Draw
	Schedule schedule.Schedule
	Batches  int              // an epoch
	Start    []weights.Tensor // what training began from, for Config.Mix

	Save     func(*Fit) error              // writes a checkpoint; nil for none
	Snapshot func(f *Fit, cycle int) error // keeps a cycle's weights; nil for none
	Row      func(runs.Epoch)              // shows a finished epoch; nil for none
	Tick     func(step, steps int)

	progress
	losses     []float64        // of each kept step (stride), dropout on
	times      []time.Time      // of the last of these, which this process took
	best, mean []weights.Tensor // Weights of the best epoch, SWA's mean
	votes      []float32        // sum of the cycles' probabilities [valid, classes]
	draw       func(int) []int  // of the epoch in drawn
	drawn      int
	saved      time.Time
	saving     time.Duration // of the last checkpoint
}

const (
	// checkpointEvery bounds how much work a kill can cost, where a checkpoint takes less than
	// a twentieth of that time.
	checkpointEvery = 2 * time.Second
	// mostSteps is how many steps are kept for steps.csv: an epoch of 10^8 rows has millions.
	mostSteps = 50_000
)

// stride is how many steps there are to one that is kept.
func (f *Fit) stride() int { return (f.Schedule.Steps() + mostSteps - 1) / mostSteps }

// kept is how many of the first n steps are kept.
func (f *Fit) kept(n int) int { return (n + f.stride() - 1) / max(f.stride(), 1) }

// Run continues the fit from its current step to its end. When ctx ends it writes a
// checkpoint and returns ctx's error.
func (f *Fit) Run(ctx context.Context) error {
	f.saved = time.Now()
	for !f.Done && f.Step < f.Schedule.Steps() {
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
func (f *Fit) checkWeights() error {
	list, err := f.Model.Weights()
	if err != nil {
		return err
	}
	for _, t := range list {
		for _, v := range t.Data {
			if !runs.Finite(float64(v)) {
				return f.diverged(fmt.Sprintf("the weight %s holds %g after step %d", t.Name, v, f.Step))
			}
		}
	}
	return nil
}

// checkpoint saves if there is somewhere to save and it is time, or now.
func (f *Fit) checkpoint(now bool) error {
	if f.Save == nil || !now && time.Since(f.saved) < max(checkpointEvery, 20*f.saving) {
		return nil
	}
	begin := time.Now()
	err := f.Save(f)
	f.saved = time.Now()
	f.saving = f.saved.Sub(begin)
	return err
}

func (f *Fit) interrupted(cause error) error {
	if err := f.checkpoint(true); err != nil {
		return err
	}
	return fmt.Errorf("training stopped after step %d of %d: %w", f.Step, f.Schedule.Steps(), cause)
}

// epoch takes the remaining steps of the current epoch.
func (f *Fit) epoch(ctx context.Context) error {
	for end := (f.Step/f.Batches + 1) * f.Batches; f.Step < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		loss, err := f.TakeStep(ctx, f.Step)
		if err != nil {
			return err
		}
		if !runs.Finite(loss) {
			return f.diverged(fmt.Sprintf("the loss is %v at step %d", loss, f.Step))
		}
		f.Step++
		if (f.Step-1)%f.stride() == 0 {
			f.losses, f.times = append(f.losses, loss), append(f.times, time.Now())
		}
		f.Smoothed.Add(loss)
		if f.Tick != nil {
			f.Tick(f.Step, f.Schedule.Steps())
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
func (f *Fit) diverged(what string) error {
	rate := fmt.Sprintf("%g", f.Config.LR)
	if len(f.Config.LRs) > 0 {
		rate = fmt.Sprint(f.Config.LRs)
	}
	decay := ""
	if d := f.Config.WeightDecay; d > 0 {
		decay = fmt.Sprintf(" or the weight decay (%g)", d)
	}
	return failure.Usage(fmt.Errorf("learner: %s; lower the learning rate (it is %s)%s or add --clip 1", what, rate,
		decay))
}

// TakeStep takes the batch of a global step and returns its loss.
func (f *Fit) TakeStep(ctx context.Context, step int) (float64, error) {
	epoch, i := step/f.Batches, step%f.Batches
	if f.draw == nil || f.drawn != epoch {
		f.draw, f.drawn = f.Draw(epoch), epoch
	}
	f.announce(step + 1)
	return f.Model.Step(ctx, epoch, f.draw(i), f.Rates(step))
}

// announce tells the model which photographs the next steps take.
func (f *Fit) announce(step int) {
	var next []NextBatch
	draw, of := f.draw, f.drawn
	for ; len(next) < StepsAhead && step < f.Schedule.Steps(); step++ {
		epoch := step / f.Batches
		if epoch != of {
			draw, of = f.Draw(epoch), epoch
		}
		next = append(next, NextBatch{epoch, draw(step % f.Batches)})
	}
	f.Model.Prefetch(next)
}

// Rates are those of a global step.
func (f *Fit) Rates(step int) Rates {
	return ratesAt(f.Config, f.Schedule, len(f.Model.Groups()), step)
}

// finishEpoch validates, records, and looks after the best, averaged and
// end-of-cycle weights.
func (f *Fit) finishEpoch(ctx context.Context, start time.Time) error {
	score, logp, err := f.Model.Validate(ctx)
	if err != nil {
		return err
	}
	if !runs.Finite(score.Loss) {
		return f.diverged(fmt.Sprintf("the validation loss is %v after step %d", score.Loss, f.Step))
	}
	e := runs.Epoch{
		Epoch: len(f.History), LR: f.Rates(f.Step - 1).LR,
		TrainLoss: f.Smoothed.Value(), ValidLoss: score.Loss, Accuracy: score.Accuracy,
		Seconds: time.Since(start).Seconds(),
	}
	f.History = append(f.History, e)
	if f.Row != nil {
		f.Row(e)
	}
	if f.Config.Best || f.Config.Patience > 0 {
		if err := f.keepBest(e); err != nil {
			return err
		}
	}
	if f.Config.SWA > 0 && len(f.History) >= f.Config.SWA {
		if err := f.average(); err != nil {
			return err
		}
	}
	if f.Config.Snapshots && schedule.CycleEnd(f.Schedule, f.Step-1) {
		if err := f.vote(logp); err != nil {
			return err
		}
	}
	if p := f.Config.Patience; p > 0 && f.Best != nil && e.Epoch-f.Best.Epoch >= p {
		f.Done = true
	}
	return nil
}

// keepBest remembers the weights where accuracy is higher, or equal with a
// lower loss (fast.ai's best_save_name); a loss of NaN never counts.
func (f *Fit) keepBest(e runs.Epoch) (err error) {
	if math.IsNaN(e.ValidLoss) {
		return nil
	}
	if b := f.Best; b == nil || e.Accuracy > b.Accuracy || e.Accuracy == b.Accuracy && e.ValidLoss < b.ValidLoss {
		f.Best = &e
		f.best, err = f.Model.Weights()
	}
	return err
}

// average moves the averaged weights towards the current ones (Izmailov et al.
// 2018): mean = (mean*k + w)/(k+1).
func (f *Fit) average() error {
	k := float32(f.Averaged)
	now, err := f.Model.Weights()
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
func (f *Fit) vote(logp []float32) error {
	if f.votes == nil {
		f.votes = make([]float32, len(logp))
	}
	for i, v := range logp {
		f.votes[i] += float32(math.Exp(float64(v)))
	}
	f.Cycles++
	if f.Snapshot == nil {
		return nil
	}
	return f.Snapshot(f, f.Cycles-1)
}

// Ensemble is the mean of the cycles' probabilities, as logarithms.
func (f *Fit) Ensemble() []float32 {
	return metrics.LogMean(f.votes, f.Cycles)
}

// choose leaves in the model what the configuration asked for: the average, the
// best weights, or the last ones.
func (f *Fit) choose(ctx context.Context) error {
	kept := f.best
	if f.Averaged > 0 {
		kept = f.mean
	}
	if kept != nil {
		if err := f.Model.SetWeights(kept); err != nil {
			return err
		}
	}
	if f.Averaged > 0 {
		if err := f.Model.Reestimate(ctx, f.all(0)); err != nil {
			return err
		}
	}
	return f.Mix(ctx)
}

// Mix leaves in the model start + share*(end - start) of each weight, where Config.Mix is such a share: a point of the
// straight line between what training began from and what it came to (Wortsman et al. 2022, "Robust fine-tuning of
// zero-shot models"). Running statistics that move with the batches are measured again.
func (f *Fit) Mix(ctx context.Context) error {
	if !f.Config.Mixes() {
		return nil
	}
	list, err := f.Model.Weights()
	if err != nil {
		return err
	}
	from := weights.ByName(f.Start)
	for i, t := range list {
		mixed := make([]float32, len(t.Data))
		for j, v := range from[t.Name].Data {
			mixed[j] = v + float32(f.Config.Mix*float64(t.Data[j]-v))
		}
		list[i].Data = mixed
	}
	if err := f.Model.SetWeights(list); err != nil || f.Config.BNFreeze {
		return err
	}
	return f.Model.Reestimate(ctx, f.all(0))
}
