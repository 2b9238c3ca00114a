package learner

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"time"
)

const (
	recipeFile = "recipe.csv" // what each step of a recipe bought
	modelFile  = "model.onnx" // a recipe's one file to deploy
)

// Recipe is the lesson's sequence: find a rate, train the head on cached
// features, train it with augmentation, unfreeze everything with a rate a layer
// group and cycles that double, and score with test-time augmentation.
type Recipe struct {
	Minutes float64 `json:"minutes,omitempty"` // plan within this time; 0 for as long as it takes
	Augment string  `json:"augment"`
	Views   int     `json:"views"`
	TTA     int     `json:"tta"`
	Batch   int     `json:"batch"` // of the head's steps; at most 32 where the network trains
}

// base is the configuration that all steps share: the head, frozen body, no augmentation.
func (o Recipe) base(c Config) Config {
	c.Images.Augment, c.Images.Views = "none", o.Views
	t := &c.Train
	t.Schedule, t.Cycles, t.CycleLen, t.CycleMult = "sgdr", 3, 1, 1
	t.Load, t.Unfreeze, t.TTA, t.LRs, t.Epochs, t.BatchSize = "", false, 0, nil, 0, o.Batch
	return c
}

// Bought is what one step of a recipe came to.
type Bought struct {
	Step    string  `json:"step"`
	Right   int     `json:"right"`
	N       int     `json:"n"`
	Loss    float64 `json:"loss"`
	Seconds float64 `json:"seconds"`
}

// The steps before the last live in RUN/steps/NAME, each a run of its own; the
// last one is RUN.
const (
	stepsDir      = "steps"
	stepHead      = "head"
	stepAugmented = "augmented"
)

// recipe is a Recipe under way.
type recipe struct {
	Recipe
	l       *Learner // of the configuration that all steps share
	run     string
	f       *Features
	started time.Time
	bought  []Bought
}

// Cook runs a recipe into run, which the caller holds. A step that an earlier
// process finished is not done again; one that it began goes on.
func (l *Learner) Cook(ctx context.Context, r *Run, f *Features, started time.Time) (*Summary, error) {
	o := *l.Config.Recipe
	shared := *l
	l = &shared
	l.Config = o.base(l.Config)
	c := &recipe{Recipe: o, l: l, run: r.Dir, f: f, started: started}
	rate, err := c.findRate(ctx, r)
	if err != nil {
		return nil, err
	}
	l.Config.Train.LR = rate
	if _, err := c.step(ctx, stepHead, "the head on cached features", func(t *Training, _ *Images) {}); err != nil {
		return nil, err
	}
	views, err := c.planViews(ctx)
	if err != nil {
		return nil, err
	}
	from := stepHead
	if views > 0 {
		from = stepAugmented
		if _, err := c.step(ctx, stepAugmented, fmt.Sprintf("the head with augmentation (%d views)", views), func(t *Training, im *Images) {
			im.Augment, im.Views, t.Load = o.Augment, views, c.folder(stepHead)
		}); err != nil {
			return nil, err
		}
	}
	sum, err := c.last(ctx, r, from)
	if err != nil {
		return nil, err
	}
	if err := c.write(r); err != nil {
		return nil, err
	}
	return sum, c.export(ctx, r)
}

// export writes RUN/model.onnx.
func (c *recipe) export(ctx context.Context, r *Run) error {
	classifier, err := OpenClassifier(r.Dir, c.l.Config.Machine, c.l.ui)
	if err != nil {
		return err
	}
	defer classifier.Close()
	out := r.Path(modelFile)
	report, err := classifier.Export(ctx, ExportOptions{Output: out}, c.l.ui)
	if err != nil {
		return err
	}
	c.l.ui.Say("exported   %s: %d of %d photographs of the proof are labelled otherwise than by the run", out, report.Flips, report.Photographs)
	return nil
}

// findRate looks for a learning rate and keeps its curve for the report.
func (c *recipe) findRate(ctx context.Context, r *Run) (float64, error) {
	begin := time.Now()
	curve, err := c.l.FindRate(ctx, c.f, Search{Start: 1e-5, End: 10})
	if err != nil {
		return 0, err
	}
	if err := curve.WriteCSV(r.Path(rateFile)); err != nil {
		return 0, err
	}
	rate := roundRate(curve.Suggestion)
	c.l.ui.Say("step       learning rate %g, from %.2g (%s), %.1f s", rate, curve.Suggestion, curve.Rule, time.Since(begin).Seconds())
	return rate, nil
}

// roundRate keeps one digit: the curve does not say more.
func roundRate(v float64) float64 {
	if !(v > 0) {
		return 0.01
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 1, 64), 64)
	if err != nil {
		return v
	}
	return rounded
}

func (c *recipe) folder(step string) string { return filepath.Join(c.run, stepsDir, step) }

// step trains a head in a run of its own below the recipe's.
func (c *recipe) step(ctx context.Context, name, what string, change func(*Training, *Images)) (*Summary, error) {
	l := *c.l
	change(&l.Config.Train, &l.Config.Images)
	if err := l.usePolicy(); err != nil {
		return nil, err
	}
	return c.do(what, c.folder(name), l.Config, func(r *Run) (*Summary, error) { return l.Train(ctx, r, c.f, time.Now()) })
}

// do runs or goes on with one step and tells what it bought.
func (c *recipe) do(what, dir string, config Config, train func(*Run) (*Summary, error)) (*Summary, error) {
	if sum, err := ReadSummary(dir); err == nil {
		c.tell(what, &sum)
		return &sum, nil
	}
	c.l.ui.Say("step       %s", what)
	r, _, err := OpenRun(dir)
	if err != nil {
		if r, err = CreateRun(dir, true, config); err != nil {
			return nil, err
		}
	}
	defer r.Close()
	sum, err := train(r)
	if err != nil {
		return nil, err
	}
	c.tell(what, sum)
	return sum, nil
}

func (c *recipe) tell(what string, s *Summary) {
	b := Bought{Step: what, Right: int(math.Round(s.Valid.Accuracy * float64(s.ValidImages))), N: s.ValidImages, Loss: s.Valid.Loss, Seconds: s.Seconds.Train}
	gain := ""
	if n := len(c.bought); n > 0 {
		gain = fmt.Sprintf("; %+d right, loss %+.4f against the step before", b.Right-c.bought[n-1].Right, b.Loss-c.bought[n-1].Loss)
	}
	c.bought = append(c.bought, b)
	c.l.ui.Say("bought     %s: %d of %d right (%.2f %%), loss %.4f, %.0f s%s", what, b.Right, b.N, 100*s.Valid.Accuracy, b.Loss, b.Seconds, gain)
}

// remaining is the time left, infinite without a limit.
func (c *recipe) remaining() float64 {
	if c.Minutes <= 0 {
		return math.Inf(1)
	}
	return 60*c.Minutes - time.Since(c.started).Seconds()
}

// planViews is how many augmented views fit a third of the remaining time, by
// the time that the first one takes.
func (c *recipe) planViews(ctx context.Context) (int, error) {
	most := c.Views
	if c.Augment == "none" || c.remaining() <= 0 {
		return 0, nil
	}
	l := *c.l
	l.Config.Images.Augment = c.Augment
	if err := l.usePolicy(); err != nil {
		return 0, err
	}
	begin := time.Now()
	if _, err := l.augmented(ctx, c.f.Train.items, 0); err != nil {
		return 0, err
	}
	each := max(time.Since(begin).Seconds(), 1e-3)
	return int(min(float64(most), max(1, c.remaining()/3/each))), nil
}

// last unfreezes everything where there is time for it, else it ends with the head.
func (c *recipe) last(ctx context.Context, r *Run, from string) (*Summary, error) {
	l := *c.l
	t := &l.Config.Train
	l.Config.Images.Augment, t.Load, t.TTA = c.Augment, c.folder(from), c.TTA
	t.BatchSize = min(t.BatchSize, 32) // of photographs: memory, and more steps for the small rates
	if err := l.usePolicy(); err != nil {
		return nil, err
	}
	cycles, err := c.planCycles(ctx, l)
	if err != nil {
		return nil, err
	}
	if cycles == 0 {
		l.ui.Say("step       no time is left to unfreeze the network (--minutes %g); the head stays the result", c.Minutes)
		t.Cycles, t.BatchSize = 1, c.l.Config.Train.BatchSize
		if err := r.setConfig(l.Config); err != nil {
			return nil, err
		}
		sum, err := l.Train(ctx, r, c.f, c.started)
		if err == nil {
			c.tell("one more cycle of the head", sum)
		}
		return sum, err
	}
	t.Unfreeze, t.Cycles, t.CycleLen, t.CycleMult = true, cycles, 1, 2
	what := fmt.Sprintf("everything, %d cycles that double", cycles)
	if sum, err := ReadSummary(r.Dir); err == nil {
		c.tell(what, &sum)
		return &sum, nil
	}
	l.ui.Say("step       %s, rates %.2g, %.2g, %.2g", what, t.LR/100, t.LR/10, t.LR)
	if err := r.setConfig(l.Config); err != nil {
		return nil, err
	}
	sum, err := l.TrainAll(ctx, r, c.f, c.started)
	if err == nil {
		c.tell(what, sum)
		c.verdict(from)
	}
	return sum, err
}

// verdict says so where unfreezing did not pay.
func (c *recipe) verdict(from string) {
	n := len(c.bought)
	before, after := c.bought[n-2], c.bought[n-1]
	if after.Right < before.Right && after.Loss > before.Loss {
		c.l.ui.Warn("unfreezing made it worse: %s has the better model, %d of %d right", c.folder(from), before.Right, before.N)
	}
}

// planCycles is how many doubling cycles, three at most, fit the remaining time,
// by the time that a step takes.
func (c *recipe) planCycles(ctx context.Context, l Learner) (int, error) {
	const most = 3
	if math.IsInf(c.remaining(), 1) {
		return most, nil
	}
	if c.remaining() <= 0 {
		return 0, nil
	}
	l.Config.Train.Unfreeze = true
	t, end, err := l.searchFit(ctx, c.f)
	if err != nil {
		return 0, err
	}
	defer end()
	var each float64
	for step := range 2 { // the first one also warms up
		begin := time.Now()
		if _, err := t.step(ctx, step); err != nil {
			return 0, err
		}
		each = time.Since(begin).Seconds()
	}
	epoch := each * float64(t.batches) * 1.2 // validation and what follows
	for n := most; n > 0; n-- {
		if epoch*float64(int(1)<<n-1) < 0.9*c.remaining() {
			return n, nil
		}
	}
	return 0, nil
}

func (c *recipe) write(r *Run) error {
	return r.table(recipeFile, []string{"step", "right", "n", "loss", "seconds"}, len(c.bought), func(i int) []string {
		b := c.bought[i]
		return []string{b.Step, strconv.Itoa(b.Right), strconv.Itoa(b.N), digits(b.Loss), strconv.FormatFloat(b.Seconds, 'f', 3, 64)}
	})
}
