package recipe

import (
	"context"
	"fmt"
	"path/filepath"

	"finetune/internal/plural"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/learner/train"
	"finetune/learner/trials"
)

// gentleWay is the name of gentle fine-tuning among ways to train.
const gentleWay = "gentle"

const (
	// wellKnown is the accuracy of a head from which on the body knows such photographs: new rates for all of its layers
	// would make it forget more than they teach.
	wellKnown = 0.9
	// fewestForTrials are training photographs of which some can be left out.
	fewestForTrials = 20
)

// gentleShares are the parts of the gently fine-tuned weights that are tried.
var gentleShares = []float64{0.5, 1}

// Decide tries the network's fine-tuning beside a linear head on training photographs left out, and returns s as that
// which did better asks: fine-tuned to a share, or frozen. The run remembers it.
func Decide(ctx context.Context, s *features.Setup, f *features.Features, r *runs.Run) (*features.Setup, error) {
	if s.Config.Train.Trial != config.TrialAsked {
		return s, nil
	}
	head, err := s.With("none", func(im *runs.Images, t *runs.Training) { im.Augment, t.Unfreeze = "none", false })
	if err != nil {
		return nil, err
	}
	best := trials.Result{Share: 1} // of too few photographs to leave some out
	if f.Train.Len() >= fewestForTrials {
		ways := []trials.Way{{Name: runs.StepLinear, What: "a linear head", Setup: head},
			{Name: gentleWay, What: "gentle fine-tuning", Setup: s, Shares: gentleShares}}
		results, err := trials.Run(ctx, s, f, ways, r.Path(filepath.Join(runs.StepsDir, runs.StepTrials)))
		if err != nil {
			return nil, err
		}
		best = trials.Best(results)
		tellTrials(s.UI, ways, results, best)
		if err := trials.Write(r, results); err != nil {
			return nil, err
		}
	}
	decided, err := s.With(s.Config.Images.Augment, func(_ *runs.Images, t *runs.Training) {
		t.Trial, t.Mix, t.Unfreeze = config.TrialDone, best.Share, best.Share > 0
		if !t.Unfreeze {
			s.UI.Warn("fine-tuning would not help: the run is a linear head on the frozen body; --lrs RATES fine-tunes " +
				"without a trial")
			*t = t.Frozen()
		}
	})
	if err != nil {
		return nil, err
	}
	return decided, r.SetConfig(decided.Config)
}

// choose tries heads, and where the body knows such photographs gentle fine-tuning, on training photographs left out.
// It fine-tunes where that helps these or, strongly, where the body does not know them. It returns the steps that may
// be kept, of which validation decides where there are several; nil for all.
func (c *recipe) choose(ctx context.Context) ([]string, error) {
	length, err := c.planUnfrozen(ctx)
	if err != nil {
		return nil, err
	}
	if c.f.Train.Len() < fewestForTrials {
		if length == 0 {
			return nil, nil
		}
		return nil, c.fineTune(ctx, length)
	}
	ways, err := c.heads()
	if err != nil {
		return nil, err
	}
	dir := c.folder(runs.StepTrials)
	results, err := trials.Run(ctx, c.setup, c.f, ways, dir)
	if err != nil {
		return nil, err
	}
	known := trials.Best(results).Accuracy >= wellKnown
	switch {
	case length == 0:
		c.setup.UI.Say("stage      no time is left for fine-tuning (--minutes %g)", c.Minutes)
	case known:
		s, err := c.setup.With(c.Augment, c.gentle(1))
		if err != nil {
			return nil, err
		}
		c.setup.UI.Say("stage      trials of fine-tuning on training photographs left out")
		ways = append(ways, trials.Way{Name: gentleWay, What: "gentle fine-tuning", Setup: s, Shares: gentleShares})
		if results, err = trials.Run(ctx, c.setup, c.f, ways, dir); err != nil {
			return nil, err
		}
	}
	best := trials.Best(results)
	tellTrials(c.setup.UI, ways, results, best)
	if err := trials.Write(c.r, results); err != nil {
		return nil, err
	}
	switch {
	case length > 0 && !known: // its trials would take longer than the training itself
		return []string{best.Way, runs.StepUnfrozen}, c.fineTune(ctx, length)
	case best.Share > 0:
		what := fmt.Sprintf("gentle fine-tuning from the linear head, %s, %g of the way",
			plural.Count(config.GentleEpochs, "epoch"), best.Share)
		return []string{runs.StepUnfrozen}, c.step(ctx, runs.StepUnfrozen, what, train.Network, c.gentle(best.Share))
	}
	return []string{best.Way}, nil
}

// heads are the ways of the steps that trained heads, named as these.
func (c *recipe) heads() ([]trials.Way, error) {
	ways := []trials.Way{{Name: runs.StepHead, What: "the head", Setup: c.setup}}
	linear, err := c.setup.With(c.Augment, func(_ *runs.Images, t *runs.Training) { t.Head = runs.HeadLinear })
	if err != nil {
		return nil, err
	}
	ways = append(ways, trials.Way{Name: runs.StepLinear, What: "a linear head", Setup: linear})
	if c.views == 0 {
		return ways, nil
	}
	augmented, err := c.setup.With(c.Augment, func(im *runs.Images, t *runs.Training) {
		im.Augment, im.Views, t.Load = c.Augment, c.views, c.folder(runs.StepHead)
	})
	return append(ways, trials.Way{Name: runs.StepAugmented, What: "the head with augmentation", Setup: augmented}), err
}

// change is what a way changes of the configuration that all stages share.
type change = func(*runs.Images, *runs.Training)

// gentle fine-tunes as config.Gentle says, and keeps a share of it.
func (c *recipe) gentle(share float64) change {
	return func(im *runs.Images, t *runs.Training) {
		im.Augment = c.Augment
		c.Gentle(t)
		t.Mix = share
	}
}

// strong fine-tunes as Recipe.Unfreeze says.
func (c *recipe) strong(length int) change {
	return func(im *runs.Images, t *runs.Training) {
		im.Augment = c.Augment
		c.Unfreeze(t, length, c.groups)
	}
}

// epochsWithTrials counts epochs over all training photographs, those of the trials included, of whichever fine-tuning
// takes longer.
func (c *recipe) epochsWithTrials(length int) float64 {
	share, n := trials.Cost(c.f.Train.Len())
	return max(float64(length), (share*float64(n)+1)*config.GentleEpochs)
}

// fineTune trains later layers with a new head: one trained on running statistics does not fit those of batches.
func (c *recipe) fineTune(ctx context.Context, length int) error {
	return c.step(ctx, runs.StepUnfrozen, "fine-tuning of later layers and a new head, one cycle of "+
		plural.Count(length, "epoch"), train.Network, c.strong(length))
}

func tellTrials(ui runs.UI, ways []trials.Way, results []trials.Result, best trials.Result) {
	what := map[string]string{}
	for _, w := range ways {
		what[w.Name] = w.What
	}
	for _, r := range results {
		text := what[r.Way]
		if r.Share > 0 && r.Share < 1 {
			text += fmt.Sprintf(", %g of the way", r.Share)
		}
		mark := ""
		if r.Way == best.Way && r.Share == best.Share {
			mark = "; chosen"
		}
		ui.Say("trial      %s: loss %.4f, accuracy %.2f %% of %s left out%s", text, r.Loss, 100*r.Accuracy,
			plural.Count(r.Images, "photograph"), mark)
	}
}
