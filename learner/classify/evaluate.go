package classify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"finetune/activations"
	"finetune/calibration"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/runs"
	"finetune/metrics"
)

// Evaluation is how good a classifier is on labelled photographs.
type Evaluation struct {
	Model      string                   `json:"model"`
	Data       string                   `json:"data"`
	Classes    []string                 `json:"classes"`
	Images     int                      `json:"images"`
	Skipped    int                      `json:"skipped"` // could not be read
	TTA        int                      `json:"tta"`
	Loss       float64                  `json:"loss"` // nats
	Accuracy   float64                  `json:"accuracy"`
	Interval   [2]float64               `json:"interval"`       // 95 %, Wilson
	Top5       *float64                 `json:"top5,omitempty"` // more than five classes
	AUC        *float64                 `json:"auc,omitempty"`  // two classes, for the second
	ECE        *float64                 `json:"ece,omitempty"`  // expected calibration error
	ByChance   *float64                 `json:"ece_by_chance,omitempty"`
	PerClass   map[string]metrics.Score `json:"per_class,omitempty"`
	Confusion  [][]int                  `json:"confusion,omitempty"` // [true][predicted]
	Seconds    float64                  `json:"seconds"`
	MultiLabel bool                     `json:"multi_label,omitempty"`
	Majority   *runs.Majority           `json:"majority,omitempty"` // what the accuracy has to be compared with
	Sets       *Sets                    `json:"sets,omitempty"`     // with a coverage
	Odd        *int                     `json:"odd,omitempty"`      // photographs with an oddness above 1, where it is known
}

// Sets says how good prediction sets are.
type Sets struct {
	Coverage float64 `json:"coverage"`  // that was asked for
	Reached  float64 `json:"reached"`   // share of photographs whose set has their class
	MeanSize float64 `json:"mean_size"` // classes
	Unsure   float64 `json:"unsure"`    // share of photographs with an empty set
}

// leastLog is the logarithm of the least float32 above 0.
const leastLog = -103.27893

// Predicted are the readable files of a list and what a classifier says of them.
type Predicted struct {
	Items  []dataset.Item
	Logp   []float32 // [len(items), classes]
	Odd    []float32 // [len(items)]; NaN where it is not known
	bad    []activations.Bad
	report ScoreReport
}

// PredictItems predicts items, all in memory.
func (c *Classifier) PredictItems(ctx context.Context, items []dataset.Item, o ScoreOptions,
	ui runs.UI) (*Predicted, error) {
	if o.TTA > 0 && c.TakesPhotographs() {
		return nil, failure.Usage(fmt.Errorf("learner: %s: exported with --uint8, so it crops photographs itself "+
			"and cannot be used with --tta",
			c.Source))
	}
	p := &Predicted{}
	show, end := ui.Progress("predict", "images")
	s := &scorer{c: c, o: o, items: items, report: &p.report, show: show}
	logp, odd, bad, err := s.block(ctx, 0, items)
	end()
	if err := errors.Join(err, s.close()); err != nil {
		return nil, err
	}
	n := len(c.Classes)
	for i, it := range items {
		if bad[i] != nil {
			p.bad = append(p.bad, *bad[i])
			continue
		}
		p.Items, p.Logp, p.Odd = append(p.Items, it), append(p.Logp, logp[i*n:(i+1)*n]...), append(p.Odd, odd[i])
	}
	return p, nil
}

// Evaluate measures the classifier on labelled photographs: those of data, or,
// for a run with an empty data, its own validation photographs.
func (c *Classifier) Evaluate(ctx context.Context, data runs.DataConfig, o ScoreOptions,
	ui runs.UI) (*Evaluation, error) {
	limit, err := c.Limit(o.Table.Coverage)
	if err != nil {
		return nil, err
	}
	items, where, warnings, err := c.labelled(data)
	if err != nil {
		return nil, err
	}
	ui.Say("data       %s: %s", where, plural.Count(len(items), "labelled photograph"))
	for _, w := range warnings {
		ui.Warn("%s", w)
	}
	p, err := c.PredictItems(ctx, items, o, ui)
	if err != nil {
		return nil, err
	}
	for _, b := range p.bad {
		ui.Warn("%s: %s: %s; skipped", b.Path, b.Status, b.Reason)
	}
	if len(p.Items) == 0 {
		return nil, failure.Data(fmt.Errorf("learner: %s: none of %s can be read", where,
			plural.Count(len(items), "photograph")))
	}
	e := c.measure(p)
	if o.Table.Coverage > 0 {
		e.Sets = c.sets(p, o.Table.Coverage, limit)
	}
	e.Model, e.Data, e.TTA, e.Skipped = c.Source, where, o.TTA, len(p.bad)
	return e, nil
}

func (c *Classifier) sets(p *Predicted, coverage float64, limit float32) *Sets {
	n, out := len(c.Classes), &Sets{Coverage: coverage}
	each, row := 1/float64(len(p.Items)), make([]float32, len(c.Classes))
	for i, it := range p.Items {
		for k := range row {
			row[k] = float32(math.Exp(float64(p.Logp[i*n+k])))
		}
		set := calibration.Set(row, limit)
		out.MeanSize += float64(len(set)) * each
		if slices.Contains(set, it.Label) {
			out.Reached += each
		}
		if len(set) == 0 {
			out.Unsure += each
		}
	}
	return out
}

func (c *Classifier) measure(p *Predicted) *Evaluation {
	n := len(c.Classes)
	e := &Evaluation{Classes: c.Classes, Images: len(p.Items), MultiLabel: c.Multi}
	for i, v := range p.Logp { // a file may say 0 of a class, and its logarithm has no mean with others
		p.Logp[i] = max(v, leastLog)
	}
	s := runs.Measure(p.Logp, p.Items, n, c.Multi)
	e.Loss, e.Accuracy, e.Interval = s.Loss, s.Accuracy, s.Interval
	e.Majority = runs.MajorityOf(p.Items, c.Classes, c.Multi)
	if c.KnowsOdd() {
		odd := 0
		for _, v := range p.Odd {
			if v > 1 {
				odd++
			}
		}
		e.Odd = &odd
	}
	if c.Multi {
		return e
	}
	y := runs.Labels(p.Items)
	e.Confusion = metrics.Confusion(p.Logp, y, n)
	e.PerClass = map[string]metrics.Score{}
	for i, s := range metrics.PerClass(e.Confusion) {
		e.PerClass[c.Classes[i]] = s
	}
	ece, chance := calibration.Error(p.Logp, y, n)
	e.ECE, e.ByChance = &ece, &chance
	if n > 5 {
		top := metrics.TopK(p.Logp, y, n, 5)
		e.Top5 = &top
	}
	if n == 2 {
		score, positive := make([]float32, len(y)), make([]bool, len(y))
		for i := range y {
			score[i], positive[i] = p.Logp[i*2+1]-p.Logp[i*2], y[i] == 1
		}
		if auc, ok := metrics.AUC(score, positive); ok {
			e.AUC = &auc
		}
	}
	return e
}
