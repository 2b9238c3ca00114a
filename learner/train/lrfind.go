package train

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"finetune/head"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/learner/runs"
	"finetune/schedule"
)

// Search configures the learning-rate finder.
type Search struct {
	Start, End float64
	Tries      int // 0: as many as an epoch has batches, 150 at least
	Linear     bool
	Valid      bool // also measure the loss of a validation batch after each step
}

// Curve is what the finder saw, a point a step until it stopped.
type Curve struct {
	Rates      []float64 `json:"rates"`
	Losses     []float64 `json:"losses"`                 // of training, smoothed
	Valid      []float64 `json:"valid_losses,omitempty"` // smoothed
	Suggestion float64   `json:"suggestion"`
	Rule       string    `json:"rule"`
	Stopped    bool      `json:"stopped"` // before the last try, because the loss had grown
}

// minTries makes a curve of 100 points or more, the stop rule included, where an
// epoch is short.
const minTries = 150

// FindRate raises the learning rate step by step on a fresh head and records
// the loss (Smith 2017; fast.ai lr_find, and lr_find2 with Valid). Nothing of it
// stays: no file is written and no random stream moves on. A linear head, which
// has no learning rate, is a usage error.
func FindRate(ctx context.Context, setup *features.Setup, f *features.Features, s Search) (Curve, error) {
	if !(s.Start > 0 && s.End > s.Start && runs.Finite(s.End)) {
		return Curve{}, failure.Usage(fmt.Errorf("learner: rates from %g to %g: --start must be above 0, and --end "+
			"above --start", s.Start,
			s.End))
	}
	if setup.Config.Train.Head == runs.HeadLinear {
		return Curve{}, failure.Usage(errors.New("learner: a linear head has no learning rate: it is trained until it " +
			"converges; leave out --head linear, or train at once"))
	}
	t, end, err := searchFit(ctx, setup, f)
	if err != nil {
		return Curve{}, err
	}
	defer end()
	if s.Tries == 0 {
		s.Tries = max(t.Batches, minTries)
	}
	t.Config = startingAt(t.Config, s.Start)
	t.Schedule = schedule.Finder{Start: s.Start, End: s.End, Tries: s.Tries, Linear: s.Linear}
	show, done := setup.UI.Progress("lr-find", "steps")
	defer done()
	t.Tick = show
	return search(ctx, t, s)
}

// searchFit is a fresh fit of the head or, unfrozen, of the whole network.
func searchFit(ctx context.Context, s *features.Setup, f *features.Features) (*fit.Fit, func(), error) {
	if err := s.Config.Validate(); err != nil {
		return nil, nil, err
	}
	tr := &training{Setup: s, features: f}
	if !tr.Config.Train.Unfreeze {
		t, _, err := tr.newFit(ctx)
		return t, func() {}, err
	}
	dir, err := os.MkdirTemp("", "finetune-lr-find-")
	if err != nil {
		return nil, nil, fmt.Errorf("learner: %w", err)
	}
	t, m, err := tr.newFullFit(ctx, dir, true)
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return t, func() { m.Close(); os.RemoveAll(dir) }, nil
}

// EpochSeconds is how long an epoch of training takes, by the time of its second step.
func EpochSeconds(ctx context.Context, s *features.Setup, f *features.Features) (float64, error) {
	t, end, err := searchFit(ctx, s, f)
	if err != nil {
		return 0, err
	}
	defer end()
	var each float64
	for step := range 2 { // the first one also warms up
		begin := time.Now()
		if _, err := t.TakeStep(ctx, step); err != nil {
			return 0, err
		}
		each = time.Since(begin).Seconds()
	}
	return each * float64(t.Batches), nil
}

// startingAt sets the last group's rate; the others keep their proportion to it.
func startingAt(t runs.Training, rate float64) runs.Training {
	if n := len(t.LRs); n > 0 {
		last, lrs := t.LRs[n-1], make([]float64, n)
		for i, r := range t.LRs {
			lrs[i] = r / last * rate
		}
		t.LRs = lrs
	}
	t.LR = rate
	return t
}

func search(ctx context.Context, t *fit.Fit, s Search) (Curve, error) {
	m, ok := t.Model.(*headModel)
	if s.Valid && !ok {
		return Curve{}, failure.Usage(errors.New("learner: --valid cannot be combined with --unfreeze; leave one out"))
	}
	c, stop, valid := Curve{Rule: schedule.SuggestRule}, schedule.NewStop(), schedule.Smoothed{}
	for step := range s.Tries {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		loss, err := t.TakeStep(ctx, step)
		if err != nil {
			return c, err
		}
		smoothed, measured := t.Smoothed.Add(loss), 0.0
		if s.Valid {
			if measured, err = m.rows.(*inMemory).validBatch(m.head, step, t.Config.BatchSize); err != nil {
				return c, err
			}
		}
		if c.Stopped = stop.At(step, smoothed) || !runs.Finite(measured); c.Stopped {
			break
		}
		c.Rates = append(c.Rates, last(t.Rates(step).LR))
		c.Losses = append(c.Losses, smoothed)
		if s.Valid {
			c.Valid = append(c.Valid, valid.Add(measured))
		}
		if t.Tick != nil {
			t.Tick(step+1, s.Tries)
		}
	}
	if len(c.Rates) == 0 {
		return c, failure.Usage(fmt.Errorf("learner: the loss is not a number at the first rate, %g; lower --start",
			s.Start))
	}
	c.Suggestion = schedule.Suggest(c.Rates, c.Losses)
	return c, nil
}

func last(v []float64) float64 { return v[len(v)-1] }

// validBatch is the loss of the step's validation batch, which go round.
func (m *inMemory) validBatch(h *head.Head, step, size int) (float64, error) {
	n := len(m.valid.Items)
	size = min(size, n)
	lo := step * size % n
	hi := min(lo+size, n)
	logp, err := h.Predict(m.valid.Rows[lo:hi])
	if err != nil {
		return 0, err
	}
	return runs.Measure(logp, m.valid.Items[lo:hi], m.classes, m.multi).Loss, nil
}

// WriteCSV writes the curve as step, lr, loss and, where measured, val_loss.
func (c Curve) WriteCSV(path string) error {
	return durable.Write(path, func(w io.Writer) error {
		table := csv.NewWriter(w)
		header := []string{"step", "lr", "loss"}
		if c.Valid != nil {
			header = append(header, "val_loss")
		}
		table.Write(header)
		for i := range c.Rates {
			row := []string{fmt.Sprint(i), runs.Digits(c.Rates[i]), runs.Digits(c.Losses[i])}
			if c.Valid != nil {
				row = append(row, runs.Digits(c.Valid[i]))
			}
			table.Write(row)
		}
		table.Flush()
		return table.Error()
	})
}
