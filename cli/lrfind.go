package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/plural"
	"finetune/learner"
	"finetune/plots"
)

type lrFindOptions struct {
	config      learner.Config
	search      learner.Search
	output      string
	quiet, json bool
}

func lrFindCommand(s Streams) *cli.Command {
	o := lrFindOptions{config: learner.DefaultConfig()}
	return &cli.Command{
		Name: "lr-find", Usage: "plot loss against learning rate and suggest a rate", ArgsUsage: "DATA",
		Description: "Trains a head while the rate rises at each step, until the loss diverges. Nothing of that " +
			"training is kept:\nthe next run is the same with or without it.",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the plot to `FILE.png`, and its numbers to " +
				"FILE.csv", Value: "lr.png", Destination: &o.output},
			&cli.Float64Flag{Name: "start", Usage: "first learning `RATE`", Value: 1e-5, Destination: &o.search.Start},
			&cli.Float64Flag{Name: "end", Usage: "last learning `RATE`", Value: 10, Destination: &o.search.End},
			&cli.IntFlag{Name: "tries", Usage: "try `N` rates (default: the batches of an epoch, at least 150)",
				Destination: &o.search.Tries},
			&cli.BoolFlag{Name: "linear", Usage: "raise the rate by equal differences, not by equal factors",
				Destination: &o.search.Linear},
			&cli.BoolFlag{Name: "valid", Usage: "also measure the loss of a validation batch at each rate",
				Destination: &o.search.Valid},
		}, trainingFlags(&o.config), augmentFlags(&o.config), dataFlags(&o.config), bodyFlags(&o.config),
			machineFlags(&o.config), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 || c.NArg() == 0 && o.config.Data.Labels == "" {
				return usagef("lr-find takes one DATA, a folder of photographs")
			}
			o.config.Data.Path = c.Args().First()
			return runLRFind(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

func runLRFind(ctx context.Context, o lrFindOptions, out *term.Console) (err error) {
	table := strings.TrimSuffix(o.output, filepath.Ext(o.output)) + ".csv"
	if o.output, err = shell.Output(o.output); err != nil {
		return err
	}
	if table, err = shell.Output(table); err != nil {
		return err
	}
	if err := shell.Beside(table, shell.StartsWith("step,lr,loss")); err != nil {
		return err
	}
	l, err := learner.Open(ctx, o.config, out)
	if err != nil {
		return err
	}
	defer l.Close()
	features, err := l.Precompute(ctx)
	if err != nil {
		return err
	}
	curve, err := l.FindRate(ctx, features, o.search)
	if err != nil {
		return err
	}
	figure, err := plots.RateSearch{Rates: curve.Rates, Losses: curve.Losses, Suggestion: curve.Suggestion,
		Rule: curve.Rule}.Draw(plots.Wide)
	if err != nil {
		return err
	}
	if err := figure.Write(o.output); err != nil {
		return err
	}
	if err := curve.WriteCSV(table); err != nil {
		return err
	}
	switch {
	case curve.Suggestion == 0:
		out.Warn("%s: too few to suggest one; raise --tries, or lower --start", plural.Count(len(curve.Rates), "rate"))
	case curve.Suggestion <= curve.Rates[0]*(1+1e-9):
		out.Warn("the loss rises from the first rates on; lower --start (it was %g)", o.search.Start)
	}
	out.Print("suggestion %.2g (%s)", curve.Suggestion, curve.Rule)
	out.Print("curve      %s and %s, %s from %.2g to %.2g", o.output, table, plural.Count(len(curve.Rates), "rate"),
		o.search.Start, curve.Rates[len(curve.Rates)-1])
	return out.Object(curve)
}
