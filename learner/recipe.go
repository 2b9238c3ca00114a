package learner

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

const (
	recipeFile = "recipe.csv" // what each step of a recipe bought
	modelFile  = "model.onnx" // a recipe's one file to deploy
)

// Recipe is the lesson's sequence: find a rate, train the head on cached
// features, train it with augmentation, unfreeze everything with a rate a layer
// group, score with test-time augmentation. The run is the best of these steps.
type Recipe struct {
	Minutes float64 `json:"minutes,omitempty"` // plan within this time; 0 for as long as it takes
	Augment string  `json:"augment"`
	Views   int     `json:"views"`
	TTA     int     `json:"tta"`
	Batch   int     `json:"batch"`            // of the head's steps; at most 32 where the network trains
	Epochs  int     `json:"epochs"`           // of the whole network
	Lesson  bool    `json:"lesson,omitempty"` // the whole network as in the lesson: SGD, cycles that double
}

// base is the configuration that all steps share: the head, frozen body, no
// augmentation. On a resume it undoes what the adopted step had set.
func (o Recipe) base(c Config) Config {
	c.Recipe = nil
	c.Images.Augment, c.Images.Views = "none", o.Views
	t, d := &c.Train, Defaults().Train
	t.Schedule, t.Cycles, t.CycleLen, t.CycleMult, t.CLR = d.Schedule, d.Cycles, d.CycleLen, d.CycleMult, nil
	t.Optimiser, t.WeightDecay, t.Smoothing, t.FreezeTo = d.Optimiser, 0, 0, 0
	t.Load, t.Unfreeze, t.TTA, t.LRs, t.Epochs, t.BatchSize = "", false, o.TTA, nil, 0, o.Batch
	return c
}

// unfrozen sets what trains the whole network for so many epochs, or doubling
// cycles as in the lesson, with the rates that follow from the head's.
//
// The numbers are those that did best on solar cells (docs/benchmarks.md).
func (o Recipe) unfrozen(t *Training, length, bodyGroups int) {
	t.Unfreeze, t.BatchSize = true, min(t.BatchSize, 32) // memory, and more steps for the small rates
	if o.Lesson {
		t.Cycles, t.CycleLen, t.CycleMult = length, 1, 2
		return
	}
	t.LRs, t.FreezeTo = append(slices.Repeat([]float64{5e-4}, bodyGroups), 2e-3), min(1, bodyGroups-1)
	t.Optimiser, t.WeightDecay, t.Smoothing = "adamw", 0.05, 0.1
	t.Schedule, t.CLR, t.Cycles, t.CycleLen = "clr", []float64{20, 10}, 1, length
}

// Bought is what one step of a recipe came to.
type Bought struct {
	Name    string  `json:"name"` // its folder in RUN/steps
	Step    string  `json:"step"`
	Right   int     `json:"right"`
	N       int     `json:"n"`
	Loss    float64 `json:"loss"`
	Seconds float64 `json:"seconds"`
}

// The steps live in RUN/steps/NAME, each a run of its own; RUN becomes the best.
const (
	stepsDir      = "steps"
	stepHead      = "head"
	stepAugmented = "augmented"
	stepUnfrozen  = "unfrozen"
)

// recipe is a Recipe under way.
type recipe struct {
	Recipe
	l       *Learner // of the configuration that all steps share
	r       *Run
	f       *Features
	started time.Time
	groups  int // of the body's layers
	bought  []Bought
}

// Cook runs a recipe into run, which the caller holds. A step that an earlier
// process finished is not done again; one that it began goes on.
func (l *Learner) Cook(ctx context.Context, r *Run, f *Features, started time.Time) (*Summary, error) {
	o := l.Config.Recipe
	shared := *l
	l = &shared
	l.Config = o.base(l.Config)
	c := &recipe{Recipe: *o, l: l, r: r, f: f, started: started}
	_, groups, err := l.layerGroups()
	if err != nil {
		return nil, err
	}
	c.groups = len(groups)
	if l.Config.Train.LR, err = c.findRate(ctx, r); err != nil {
		return nil, err
	}
	if err := c.step(ctx, stepHead, "the head on cached features", (*Learner).Train, func(*Training, *Images) {}); err != nil {
		return nil, err
	}
	views, err := c.planViews(ctx)
	if err != nil {
		return nil, err
	}
	from := stepHead
	if views > 0 {
		from = stepAugmented
		if err := c.step(ctx, from, fmt.Sprintf("the head with augmentation (%d views)", views), (*Learner).Train, func(t *Training, im *Images) {
			im.Augment, im.Views, t.Load = o.Augment, views, c.folder(stepHead)
		}); err != nil {
			return nil, err
		}
	}
	if err := c.unfreeze(ctx, from); err != nil {
		return nil, err
	}
	sum, err := c.keepBest(r, o)
	if err != nil {
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
	c.l.ui.Say("exported   %s: %d of %d photographs of the proof are labelled otherwise than by the run", filepath.Join(r.Name, modelFile), report.Flips, report.Photographs)
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

func (c *recipe) folder(step string) string { return filepath.Join(c.r.Dir, stepsDir, step) }

// training is Learner.Train or TrainAll.
type training func(*Learner, context.Context, *Run, *Features, time.Time) (*Summary, error)

// step trains in a run of its own below the recipe's, or goes on with one, and
// tells what it bought.
func (c *recipe) step(ctx context.Context, name, what string, train training, change func(*Training, *Images)) error {
	l := *c.l
	l.Config.Images.Augment = c.Augment // for test-time views, also where training has none
	if err := l.usePolicy(); err != nil {
		return err
	}
	l.Config.Images.Augment = "none"
	change(&l.Config.Train, &l.Config.Images)
	dir := c.folder(name)
	if sum, err := ReadSummary(dir); err == nil {
		c.tell(name, what, &sum)
		return nil
	}
	l.ui.Say("step       %s", what)
	r, _, _, err := OpenRun(dir, RunOptions{NoLock: true}) // the recipe's own run is locked
	if err == nil && r == nil {
		r, err = CreateRun(dir, RunOptions{NoLock: true}, l.Config)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	r.Name = filepath.Join(c.r.Name, stepsDir, name)
	sum, err := train(&l, ctx, r, c.f, time.Now())
	if err != nil {
		return err
	}
	c.tell(name, what, sum)
	return nil
}

func (c *recipe) tell(name, what string, s *Summary) {
	b := Bought{Name: name, Step: what, Right: int(math.Round(s.Valid.Accuracy * float64(s.ValidImages))), N: s.ValidImages, Loss: s.Valid.Loss, Seconds: s.Seconds.Train}
	text := fmt.Sprintf("%s: %d of %d right (%.2f %%), loss %.4f, %.0f s", what, b.Right, b.N, 100*s.Valid.Accuracy, b.Loss, b.Seconds)
	if s.TTA != nil {
		text += fmt.Sprintf("; with TTA %.2f %%", 100*s.TTA.Accuracy)
	}
	if n := len(c.bought); n > 0 {
		text += fmt.Sprintf("; %+d right, loss %+.4f against the step before", b.Right-c.bought[n-1].Right, b.Loss-c.bought[n-1].Loss)
	}
	c.bought = append(c.bought, b)
	c.l.ui.Say("bought     %s", text)
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

// unfreeze trains the whole network from a head, where there is time for it.
func (c *recipe) unfreeze(ctx context.Context, from string) error {
	length, err := c.planUnfrozen(ctx)
	if err != nil {
		return err
	}
	if length == 0 {
		c.l.ui.Say("step       no time is left to unfreeze the network (--minutes %g)", c.Minutes)
		return nil
	}
	epochs := fmt.Sprintf("%d epochs", length)
	if length == 1 {
		epochs = "one epoch"
	}
	what := "the later layers and a new head, one cycle of " + epochs
	if c.Lesson {
		what = fmt.Sprintf("everything, %d cycles that double", length)
	}
	return c.step(ctx, stepUnfrozen, what, (*Learner).TrainAll, func(t *Training, im *Images) {
		im.Augment = c.Augment
		if c.Lesson { // else with a new head: one trained on running statistics does not fit those of batches
			t.Load = c.folder(from)
		}
		c.unfrozen(t, length, c.groups)
	})
}

// keepBest makes the run its best step: of most photographs right, and where
// these are equal of least loss.
func (c *recipe) keepBest(r *Run, o *Recipe) (*Summary, error) {
	best := slices.MaxFunc(c.bought, func(a, b Bought) int { return cmp.Or(cmp.Compare(a.Right, b.Right), cmp.Compare(b.Loss, a.Loss)) })
	if last := c.bought[len(c.bought)-1]; best.Name != last.Name {
		c.l.ui.Warn("%s did not pay: %d of %d right, %d before it; the run keeps %s", last.Step, last.Right, last.N, best.Right, best.Step)
	}
	config, err := ReadConfig(c.folder(best.Name))
	if err != nil {
		return nil, err
	}
	config.Recipe = o
	if config.Train.Load != "" {
		config.Train.Load = filepath.Join(r.Name, stepsDir, filepath.Base(config.Train.Load)) // where it is in the end
	}
	if err := c.write(r); err != nil {
		return nil, err
	}
	c.l.ui.Say("kept       %s; chosen on the validation photographs, so a little flattered by them", best.Step)
	seconds := Seconds{Precompute: c.f.Seconds, Total: time.Since(c.started).Seconds()}
	for _, b := range c.bought {
		seconds.Train += b.Seconds
	}
	return r.adopt(c.folder(best.Name), config, seconds)
}

// planUnfrozen is how many epochs, or doubling cycles of the lesson's (three at
// most), fit the remaining time, by the time that a step takes.
func (c *recipe) planUnfrozen(ctx context.Context) (int, error) {
	most, epochs := c.Epochs, func(n int) int { return n }
	if c.Lesson {
		most, epochs = 3, func(n int) int { return 1<<n - 1 }
	}
	if config, err := ReadConfig(c.folder(stepUnfrozen)); err == nil { // planned by an earlier process
		return config.Train.Cycles * config.Train.CycleLen, nil
	}
	if math.IsInf(c.remaining(), 1) {
		return most, nil
	}
	if c.remaining() <= 0 {
		return 0, nil
	}
	l := *c.l
	c.unfrozen(&l.Config.Train, 1, c.groups)
	l.Config.Images.Augment = c.Augment
	if err := l.usePolicy(); err != nil {
		return 0, err
	}
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
		if epoch*float64(epochs(n)) < 0.9*c.remaining() {
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
