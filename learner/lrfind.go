package learner

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"

	"finetune/internal/durable"
	"finetune/internal/failure"
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
// stays: no file is written and no random stream moves on.
func (l *Learner) FindRate(ctx context.Context, f *Features, s Search) (Curve, error) {
	if !(s.Start > 0 && s.End > s.Start && finite(s.End)) {
		return Curve{}, failure.Usage(fmt.Errorf("learner: rates from %g to %g; they must be above 0 and grow", s.Start, s.End))
	}
	t, end, err := l.searchFit(ctx, f)
	if err != nil {
		return Curve{}, err
	}
	defer end()
	if s.Tries == 0 {
		s.Tries = max(t.batches, minTries)
	}
	t.config = t.config.startingAt(s.Start)
	t.sched = schedule.Finder{Start: s.Start, End: s.End, Tries: s.Tries, Linear: s.Linear}
	show, done := l.ui.Progress("lr-find", "steps")
	defer done()
	t.tick = show
	return t.search(ctx, s)
}

// searchFit is a fresh fit of the head or, unfrozen, of the whole network.
func (l *Learner) searchFit(ctx context.Context, f *Features) (*fit, func(), error) {
	if !l.Config.Train.Unfreeze {
		t, _, err := l.newFit(ctx, f)
		return t, func() {}, err
	}
	dir, err := os.MkdirTemp("", "finetune-lr-find-")
	if err != nil {
		return nil, nil, fmt.Errorf("learner: %w", err)
	}
	t, m, err := l.newFullFit(ctx, f, dir, true)
	if err == nil && l.Config.Train.Load != "" {
		if err = l.loadFull(m, nil); err != nil {
			m.Close()
		}
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return t, func() { m.Close(); os.RemoveAll(dir) }, nil
}

// startingAt sets the last group's rate; the others keep their proportion to it.
func (t Training) startingAt(rate float64) Training {
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

func (t *fit) search(ctx context.Context, s Search) (Curve, error) {
	m, ok := t.model.(*headModel)
	if s.Valid && !ok {
		return Curve{}, failure.Usage(errors.New("learner: --valid measures a frozen body's head; leave out --unfreeze or --valid"))
	}
	c, stop, valid := Curve{Rule: schedule.SuggestRule}, schedule.NewStop(), schedule.Smoothed{}
	for step := range s.Tries {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		loss, err := t.step(ctx, step)
		if err != nil {
			return c, err
		}
		smoothed, measured := t.Smoothed.Add(loss), 0.0
		if s.Valid {
			if measured, err = m.validBatch(step, t.config.BatchSize); err != nil {
				return c, err
			}
		}
		if c.Stopped = stop.At(step, smoothed) || !finite(measured); c.Stopped {
			break
		}
		c.Rates = append(c.Rates, last(t.rates(step).LR))
		c.Losses = append(c.Losses, smoothed)
		if s.Valid {
			c.Valid = append(c.Valid, valid.Add(measured))
		}
		if t.tick != nil {
			t.tick(step+1, s.Tries)
		}
	}
	if len(c.Rates) == 0 {
		return c, failure.Usage(fmt.Errorf("learner: the loss is no number at the first rate, %g, already; begin lower with --start", s.Start))
	}
	c.Suggestion = schedule.Suggest(c.Rates, c.Losses)
	return c, nil
}

func last(v []float64) float64 { return v[len(v)-1] }

// validBatch is the loss of the step's validation batch, which go round.
func (m *headModel) validBatch(step, size int) (float64, error) {
	n := len(m.valid.items)
	size = min(size, n)
	lo := step * size % n
	hi := min(lo+size, n)
	logp, err := m.head.Predict(m.valid.rows[lo:hi])
	if err != nil {
		return 0, err
	}
	loss, _ := measure(logp, m.valid.items[lo:hi], m.classes, m.multi)
	return loss, nil
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
			row := []string{fmt.Sprint(i), digits(c.Rates[i]), digits(c.Losses[i])}
			if c.Valid != nil {
				row = append(row, digits(c.Valid[i]))
			}
			table.Write(row)
		}
		table.Flush()
		return table.Error()
	})
}
