package cli

import (
	"github.com/urfave/cli/v2"

	"finetune/learner"
)

func recipeCommand(s Streams) *cli.Command {
	var o trainOptions
	recipe := &learner.Recipe{}
	t := &o.config.Train
	return &cli.Command{
		Name: "recipe", Usage: "the whole lesson in one command, telling what each step bought", ArgsUsage: "DATA",
		Description: "Find a learning rate; train the head on cached features; train it with augmentation; unfreeze the " +
			"network, with a\n" +
			"rate for each layer group; score with test-time augmentation; keep the best of these; report; export.",
		Flags: join(
			runFlags(&o),
			recipeFlags(recipe, t),
			augmentFlags(&o.config, "side-on"), dataFlags(&o.config), bodyFlags(&o.config), machineFlags(&o.config),
			outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usagef("recipe takes one DATA, a folder of photographs")
			}
			o.config.Data.Path, o.set = c.Args().First(), c.IsSet
			d := defaults.Train
			t.Schedule, t.Cycles, t.CycleLen, t.CycleMult, t.LR, t.Momentum, t.Hidden, t.Dropout = d.Schedule, d.Cycles,
				d.CycleLen, d.CycleMult, d.LR, d.Momentum, d.Hidden, d.Dropout
			t.Unfreeze = true // at last; the recipe sets what each step needs
			recipe.Augment, recipe.Views, recipe.Batch = o.config.Images.Augment, o.config.Images.Views, t.BatchSize
			o.config.Recipe = recipe
			return runTrain(c.Context, o, &console{Streams: s, quiet: o.quiet, json: o.json})
		},
	}
}

// recipeFlags are those of a recipe alone.
func recipeFlags(r *learner.Recipe, t *learner.Training) []cli.Flag {
	return []cli.Flag{
		&cli.Float64Flag{Name: "minutes", Usage: "plan within `M` minutes (default: as long as it takes)",
			Destination: &r.Minutes},
		&cli.IntFlag{Name: "tta", Usage: "`N` augmented views for the final score, 0 for none", Value: 4,
			Destination: &r.TTA},
		&cli.IntFlag{Name: "epochs", Usage: "`N` epochs of the whole network, fewer where --minutes needs it", Value: 8,
			Destination: &r.Epochs},
		&cli.BoolFlag{Name: "lesson", Usage: "train the whole network as the lesson does: SGD, cycles that double, rates " +
			"of a hundredth, a tenth and the whole of the head's", Destination: &r.Lesson},
		&cli.BoolFlag{Name: "bn-freeze", Usage: "keep the body's batch statistics as they are", Destination: &t.BNFreeze},
		&cli.IntFlag{Name: "micro-batch", Usage: "at most `B` photographs in memory at once when everything trains",
			Destination: &t.MicroBatch},
	}
}
