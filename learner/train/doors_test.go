package train

import (
	"context"
	"errors"
	"testing"
	"time"

	"finetune/internal/failure"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/runs"
)

// A configuration that nobody filled in, or one out of bounds, is refused by each door, by the field's name.
func TestDoorsValidate(t *testing.T) {
	ctx, now := context.Background(), time.Now()
	none := func(c *config.Config) { *c = config.Config{} }
	for field, change := range map[string]func(*config.Config){
		"train":            none,
		"data.path":        func(c *config.Config) { c.Data.Path = "" },
		"train.batch_size": func(c *config.Config) { c.Train.BatchSize = 0 },
		"train.cycles":     func(c *config.Config) { c.Train.Cycles = -1 },
	} {
		c := config.DefaultConfig()
		c.Data.Path = "photos"
		change(&c)
		s := &features.Setup{Config: c}
		doors := map[string]func() error{
			"Head":         func() error { _, err := Head(ctx, s, nil, nil, now); return err },
			"Network":      func() error { _, err := Network(ctx, s, nil, nil, now); return err },
			"FindRate":     func() error { _, err := FindRate(ctx, s, nil, Search{Start: 1e-5, End: 1}); return err },
			"EpochSeconds": func() error { _, err := EpochSeconds(ctx, s, nil); return err },
		}
		for door, open := range doors {
			var wrong *config.FieldError
			if err := open(); !errors.As(err, &wrong) || wrong.Field != field || failure.KindOf(err) != failure.UsageKind {
				t.Errorf("%s: %v, want an error of %s", door, err, field)
			}
		}
	}
}

// A linear head has no rate to look for.
func TestNoRateOfALinearHead(t *testing.T) {
	s := &features.Setup{}
	s.Config.Train.Head = runs.HeadLinear
	if _, err := FindRate(context.Background(), s, nil, Search{Start: 1e-5, End: 1}); failure.KindOf(err) !=
		failure.UsageKind {
		t.Error(err)
	}
}
