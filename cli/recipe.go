package cli

import (
	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/learner"
)

func recipeCommand(s Streams) *cli.Command {
	o := trainOptions{config: learner.DefaultConfig()}
	o.config.Images.Augment = "side-on"
	recipe, t := learner.DefaultRecipe(), &o.config.Train
	return &cli.Command{
		Name: "recipe", Usage: "run all stages of fast.ai's first lesson and keep the best result", ArgsUsage: "DATA",
		Description: "Finds a learning rate, trains the head, trains it with augmentation, then fine-tunes the " +
			"whole network:\ngently, where training photographs left out say that it helps, or, where heads do badly, with a " +
			"new head.\nReports what each stage gained. Keeps the best one by those left out, or with a new head by " +
			"validation,\nwith its report, and exports it.",
		Flags: shell.Join(
			runFlags(&o),
			recipeFlags(&recipe, t),
			augmentFlags(&o.config), dataFlags(&o.config), bodyFlags(&o.config), machineFlags(&o.config),
			outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usagef("recipe takes one DATA, a folder of photographs")
			}
			o.config.Data.Path, o.set = c.Args().First(), c.IsSet
			t.Optimiser, t.Balance, t.BNMomentum = "", "", 0 // which its steps set, or leave at their defaults
			t.Schedule = "sgdr"
			t.Unfreeze = true // at last; the recipe sets what each step needs
			recipe.BNFreeze, recipe.MicroBatch, recipe.Precision = t.BNFreeze, t.MicroBatch, t.Precision
			recipe.Augment, recipe.Views, recipe.Batch = o.config.Images.Augment, o.config.Images.Views, t.BatchSize
			o.config.Recipe = &recipe
			return runTrain(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

// recipeFlags are those of a recipe alone.
func recipeFlags(r *learner.Recipe, t *learner.Training) []cli.Flag {
	return []cli.Flag{
		&cli.Float64Flag{Name: "minutes", Usage: "plan to finish within `M` minutes (default: no limit)",
			Destination: &r.Minutes},
		&cli.IntFlag{Name: "tta", Usage: "score with test-time augmentation over `N` views, 0 for none", Value: r.TTA,
			Destination: &r.TTA},
		&cli.IntFlag{Name: "epochs", Usage: "fine-tune for `N` epochs, or fewer if --minutes needs it", Value: r.Epochs,
			Destination: &r.Epochs},
		&cli.BoolFlag{Name: "lesson", Usage: "fine-tune as the lesson does: SGD, cycles that double, rates from 1/100 to 1 " +
			"of the head's", Destination: &r.Lesson},
		&cli.BoolFlag{Name: "bn-freeze", Usage: "keep the body's batch statistics frozen", Destination: &t.BNFreeze},
		&cli.IntFlag{Name: "micro-batch", Usage: "in fine-tuning, hold at most `B` photographs in memory; gradients of a " +
			"larger batch are accumulated", Destination: &t.MicroBatch},
		precisionFlag(t),
	}
}
