package runs

import (
	"fmt"
	"time"

	"finetune/internal/tfevents"
)

// WriteEvents makes RUN/tensorboard hold the kept steps of a training so far and
// its epochs of batches steps each: the numbers of steps.csv and history.csv,
// under the names of their columns. What is there is only added to.
func (r *Run) WriteEvents(steps []Step, epochs []Epoch, batches int, groups []string) (err error) {
	if r.events == nil {
		if r.events, err = tfevents.Open(r.Path(TensorBoardDir)); err != nil {
			return fmt.Errorf("learner: %w", err)
		}
	}
	list := course(steps, epochs, batches)
	err = r.events.Extend(len(list), func(i int) tfevents.Event { return list[i].event(groups) })
	if err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	return nil
}

// moment is a step or the end of an epoch.
type moment struct {
	number int // of the step, or of the epoch's last
	time   time.Time
	step   *Step
	epoch  *Epoch
}

// course puts steps and epochs in the order in which they happened. That of a
// training that is further begins with it.
func course(steps []Step, epochs []Epoch, batches int) (list []moment) {
	var last time.Time
	for i := range epochs {
		end := (epochs[i].Epoch + 1) * batches
		for ; len(steps) > 0 && steps[0].Step < end; steps = steps[1:] {
			list, last = append(list, moment{steps[0].Step, steps[0].Time, &steps[0], nil}), steps[0].Time
		}
		list = append(list, moment{end - 1, last, nil, &epochs[i]})
	}
	for i := range steps {
		list = append(list, moment{steps[i].Step, steps[i].Time, &steps[i], nil})
	}
	return list
}

func (m moment) event(groups []string) tfevents.Event {
	e := tfevents.Event{Step: m.number, Time: m.time}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	add := func(tag string, v float64) { e.Scalars = append(e.Scalars, tfevents.Scalar{Tag: tag, Value: v}) }
	if m.epoch != nil {
		add("epoch/trn_loss", m.epoch.TrainLoss)
		add("epoch/val_loss", m.epoch.ValidLoss)
		add("epoch/accuracy", m.epoch.Accuracy)
		return e
	}
	add("step/loss", m.step.Loss)
	for i, lr := range m.step.LR {
		add("step/"+rateName(i, groups), lr)
	}
	add("step/momentum", m.step.Momentum)
	return e
}

// rateName is the column of steps.csv with the rate of group i.
func rateName(i int, groups []string) string {
	if len(groups) < 2 {
		return "lr"
	}
	return "lr_" + groups[i]
}
