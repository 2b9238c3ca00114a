package cli

import (
	"context"
	"os"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/plural"
	"finetune/learner"
)

type precomputeOptions struct {
	config      learner.Config
	shard       string
	quiet, json bool
}

func precomputeCommand(s Streams) *cli.Command {
	o := precomputeOptions{config: learner.DefaultConfig()}
	return &cli.Command{
		Name: "precompute", Usage: "compute and cache the features of every photograph in DATA", ArgsUsage: "DATA",
		Description: "Only what the cache lacks is computed. If the command is killed, run it again to continue.",
		Flags: shell.Join([]cli.Flag{
			&cli.StringFlag{Name: "shard", Usage: "compute part `I/N` only, counted from 0; /N in a job array " +
				"(SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX)", Destination: &o.shard},
			&cli.BoolFlag{Name: "recompute", Usage: "discard what is cached for this body and view, and compute it again",
				Destination: &o.config.Machine.Recompute},
		}, dataFlags(&o.config), bodyFlags(&o.config), augmentFlags(&o.config), machineFlags(&o.config),
			outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 && o.config.Data.Labels == "" {
				return usagef("precompute takes one DATA, a folder of photographs")
			}
			o.config.Data.Path = c.Args().First()
			return runPrecompute(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

func runPrecompute(ctx context.Context, o precomputeOptions, out *term.Console) error {
	part, err := shell.ParseShard(o.shard, os.Getenv)
	if err != nil {
		return err
	}
	l, err := learner.Open(ctx, o.config, out)
	if err != nil {
		return err
	}
	defer l.Close()
	if part.Count > 1 {
		l = l.Part(part.Bounds)
	}
	f, err := l.Precompute(ctx)
	if err != nil {
		return err
	}
	if err := l.PrecomputeViews(ctx, f); err != nil {
		return err
	}
	out.Print("features of %d train, %d valid and %s are in %s", f.Train.Len(), f.Valid.Len(),
		plural.Count(f.Test.Len(), "test photograph"), l.Config.Machine.Cache)
	batch, rates := l.Fed()
	return out.Object(map[string]any{"counts": l.Set.Counts(), "train": f.Train.Len(), "valid": f.Valid.Len(),
		"test": f.Test.Len(), "skipped": len(f.Skipped), "computed": f.Computed, "seconds": f.Seconds,
		"decode_seconds": f.Decode, "steady_images_per_second": f.Steady, "body_batch": batch, "body_rates": rates})
}
