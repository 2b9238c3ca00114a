// Package recipe trains in several ways and keeps the one that does best on training photographs left out: the stages
// of the lesson, or gentle fine-tuning beside a linear head.
package recipe

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"finetune/internal/plural"
	"finetune/learner/export"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/learner/train"
)

// StepResult is the result of one stage of a recipe.
type StepResult struct {
	Name    string  `json:"name"` // its folder in RUN/steps
	Step    string  `json:"step"`
	Right   int     `json:"right"`
	N       int     `json:"n"`
	Loss    float64 `json:"loss"`
	Seconds float64 `json:"seconds"`
}

// recipe is a Recipe under way.
type recipe struct {
	runs.Recipe
	setup   *features.Setup // of the configuration that all stages share
	r       *runs.Run
	f       *features.Features
	started time.Time
	groups  int // of the body's layers
	views   int // of an augmented step; 0 for none
	results []StepResult
}

// Run runs the configuration's recipe into run, which the caller holds. A
// stage that an earlier process finished is not done again; one that it started is continued.
func Run(ctx context.Context, s *features.Setup, r *runs.Run, f *features.Features,
	started time.Time) (*runs.Summary, error) {
	o := s.Config.Recipe
	shared, err := s.Base(*o)
	if err != nil {
		return nil, err
	}
	c := &recipe{Recipe: *o, setup: shared, r: r, f: f, started: started}
	if head, err := runs.ReadSummary(c.folder(runs.StepHead)); err != nil || head.Aside != nil { // not of an older version
		shared, c.f = shared.Aside(f)
		c.setup = shared
	}
	if c.groups, err = train.BodyGroups(shared); err != nil {
		return nil, err
	}
	rate, err := c.findRate(ctx, r)
	if err != nil {
		return nil, err
	}
	if c.setup, err = shared.With(o.Augment, func(_ *runs.Images, t *runs.Training) { t.LR = rate }); err != nil {
		return nil, err
	}
	if err := c.step(ctx, runs.StepHead, "the head on cached features", train.Head,
		func(*runs.Images, *runs.Training) {}); err != nil {
		return nil, err
	}
	if err := c.step(ctx, runs.StepLinear, "a linear head on cached features", train.Head,
		func(_ *runs.Images, t *runs.Training) { t.Head = runs.HeadLinear }); err != nil {
		return nil, err
	}
	from, err := c.augmented(ctx)
	if err != nil {
		return nil, err
	}
	var may []string
	if o.Lesson {
		err = c.unfreeze(ctx, from)
	} else {
		may, err = c.choose(ctx)
	}
	if err != nil {
		return nil, err
	}
	sum, err := c.keep(r, o, may)
	if err != nil {
		return nil, err
	}
	return sum, c.export(ctx, r)
}

// augmented trains the head with augmentation, where there is time for it, and
// returns the step that the next one may begin from.
func (c *recipe) augmented(ctx context.Context) (from string, err error) {
	views, err := c.planViews(ctx)
	if err != nil || views == 0 {
		return runs.StepHead, err
	}
	c.views = views
	what := fmt.Sprintf("the head with augmentation (%s)", plural.Count(views, "view"))
	return runs.StepAugmented, c.step(ctx, runs.StepAugmented, what, train.Head, func(im *runs.Images, t *runs.Training) {
		im.Augment, im.Views, t.Load = c.Augment, views, c.folder(runs.StepHead)
	})
}

// export writes RUN/model.onnx.
func (c *recipe) export(ctx context.Context, r *runs.Run) error {
	report, err := export.Write(ctx, r.Dir, c.setup.Config.Machine, export.Options{Output: r.Path(runs.ModelFile)},
		c.setup.UI)
	if err != nil {
		return err
	}
	c.setup.UI.Say("exported   %s: %s from the run, of %d checked", filepath.Join(r.Name, runs.ModelFile),
		plural.Of(report.Flips, "prediction differs", "predictions differ"), report.Photographs)
	return nil
}

// findRate looks for a learning rate and keeps its curve for the report.
func (c *recipe) findRate(ctx context.Context, r *runs.Run) (float64, error) {
	begin := time.Now()
	curve, err := train.FindRate(ctx, c.setup, c.f, train.Search{Start: 1e-5, End: 10})
	if err != nil {
		return 0, err
	}
	if err := curve.WriteCSV(r.Path(runs.RateFile)); err != nil {
		return 0, err
	}
	rate := roundRate(curve.Suggestion)
	c.setup.UI.Say("stage      learning rate %g, from %.2g (%s), %.1f s", rate, curve.Suggestion, curve.Rule,
		time.Since(begin).Seconds())
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

func (c *recipe) folder(step string) string { return filepath.Join(c.r.Dir, runs.StepsDir, step) }

// trains is train.Head or train.Network.
type trains func(context.Context, *features.Setup, *runs.Run, *features.Features, time.Time) (*runs.Summary, error)

// step trains in a run of its own below the recipe's, or continues one, and
// tells what it gained.
func (c *recipe) step(ctx context.Context, name, what string, train trains,
	how change) error {
	s, err := c.setup.With(c.Augment, how) // with test-time views also where training has none
	if err != nil {
		return err
	}
	dir := c.folder(name)
	if sum, err := runs.ReadSummary(dir); err == nil {
		c.tell(name, what, &sum)
		return nil
	}
	s.UI.Say("stage      %s", what)
	r, _, _, err := runs.Open(dir, runs.Options{NoLock: true}) // the recipe's own run is locked
	if err == nil && r == nil {
		r, err = runs.Create(dir, runs.Options{NoLock: true}, s.Config)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	r.Name = filepath.Join(c.r.Name, runs.StepsDir, name)
	sum, err := train(ctx, s, r, c.f, time.Now())
	if err != nil {
		return err
	}
	c.tell(name, what, sum)
	return nil
}

func (c *recipe) tell(name, what string, s *runs.Summary) {
	b := StepResult{Name: name, Step: what, Right: int(math.Round(s.Valid.Accuracy * float64(s.ValidImages))),
		N: s.ValidImages, Loss: s.Valid.Loss, Seconds: s.Seconds.Train}
	text := fmt.Sprintf("%s: %d of %d right (%.2f %%), loss %.4f, %.0f s", what, b.Right, b.N, 100*s.Valid.Accuracy,
		b.Loss, b.Seconds)
	if s.TTA != nil {
		text += fmt.Sprintf("; with TTA %.2f %%", 100*s.TTA.Accuracy)
	}
	if n := len(c.results); n > 0 {
		text += fmt.Sprintf("; %+d right, loss %+.4f compared with the stage before", b.Right-c.results[n-1].Right,
			b.Loss-c.results[n-1].Loss)
	}
	c.results = append(c.results, b)
	c.setup.UI.Say("result     %s", text)
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
	begin := time.Now()
	if _, err := c.setup.AugmentedRows(ctx, c.f.Train.Items, 0); err != nil {
		return 0, err
	}
	each := max(time.Since(begin).Seconds(), 1e-3)
	return int(min(float64(most), max(1, c.remaining()/3/each))), nil
}

// unfreeze trains the whole network as the lesson does, from a head, where there is time for it.
func (c *recipe) unfreeze(ctx context.Context, from string) error {
	length, err := c.planUnfrozen(ctx)
	if err != nil {
		return err
	}
	if length == 0 {
		c.setup.UI.Say("stage      no time is left for fine-tuning (--minutes %g)", c.Minutes)
		return nil
	}
	what := fmt.Sprintf("fine-tuning of the whole network, %s that double", plural.Count(length, "cycle"))
	return c.step(ctx, runs.StepUnfrozen, what, train.Network, func(im *runs.Images, t *runs.Training) {
		t.Load = c.folder(from)
		c.strong(length)(im, t)
	})
}

// keep makes the run the best of the steps that may be kept, all without names: that of most validation photographs
// right, and where these are equal of least loss.
func (c *recipe) keep(r *runs.Run, o *runs.Recipe, names []string) (*runs.Summary, error) {
	may := slices.DeleteFunc(slices.Clone(c.results), func(b StepResult) bool {
		return names != nil && !slices.Contains(names, b.Name)
	})
	best := slices.MaxFunc(may, func(a, b StepResult) int {
		return cmp.Or(cmp.Compare(a.Right, b.Right),
			cmp.Compare(b.Loss, a.Loss))
	})
	by := "validation accuracy"
	if len(may) == 1 {
		by = "training photographs left out"
	} else if last := c.results[len(c.results)-1]; best.Name != last.Name {
		c.setup.UI.Warn("%s did not help: %d of %d right, %d before it; the run keeps %s",
			last.Step, last.Right, last.N,
			best.Right, best.Step)
	}
	config, err := runs.ReadConfig(c.folder(best.Name))
	if err != nil {
		return nil, err
	}
	config.Recipe = o
	if config.Train.Load != "" {
		config.Train.Load = filepath.Join(r.Name, runs.StepsDir, filepath.Base(config.Train.Load)) // where it is in the end
	}
	if err := c.write(r); err != nil {
		return nil, err
	}
	final := ", which is therefore slightly optimistic"
	switch n := c.f.Aside.Len(); {
	case by != "validation accuracy":
		final = ""
	case n > 0:
		final = ", so the final figure is of " + plural.Count(n, "other photograph")
	}
	c.setup.UI.Say("kept       %s; chosen by %s%s", best.Step, by, final)
	seconds := runs.Seconds{Precompute: c.f.Seconds, Total: time.Since(c.started).Seconds()}
	for _, b := range c.results {
		seconds.Train += b.Seconds
	}
	return r.Adopt(c.folder(best.Name), config, seconds)
}

// planUnfrozen is how many epochs, trials included, or doubling cycles of the lesson's (three at most), fit the
// remaining time, by the time that a step takes.
func (c *recipe) planUnfrozen(ctx context.Context) (int, error) {
	most, epochs := c.Epochs, c.epochsWithTrials
	if c.Lesson {
		most, epochs = 3, func(n int) float64 { return float64(int(1)<<n - 1) }
	}
	if config, err := runs.ReadConfig(c.folder(runs.StepUnfrozen)); err == nil { // planned by an earlier process
		return config.Train.Cycles * config.Train.CycleLen, nil
	}
	if math.IsInf(c.remaining(), 1) {
		return most, nil
	}
	if c.remaining() <= 0 {
		return 0, nil
	}
	s, err := c.setup.With(c.Augment, c.strong(1))
	if err != nil {
		return 0, err
	}
	epoch, err := train.EpochSeconds(ctx, s, c.f)
	if err != nil {
		return 0, err
	}
	epoch *= 1.2 // validation and what follows
	for n := most; n > 0; n-- {
		if epoch*epochs(n) < 0.9*c.remaining() {
			return n, nil
		}
	}
	return 0, nil
}

func (c *recipe) write(r *runs.Run) error {
	return r.WriteTable(runs.RecipeFile, []string{"step", "right", "n", "loss", "seconds"}, len(c.results),
		func(i int) []string {
			b := c.results[i]
			return []string{b.Step, strconv.Itoa(b.Right), strconv.Itoa(b.N), runs.Digits(b.Loss),
				strconv.FormatFloat(b.Seconds, 'f', 3, 64)}
		})
}
