package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/remote"
	"finetune/internal/store"
	"finetune/learner"
	"finetune/scores"
)

type scoreOptions struct {
	model, folder string
	score         learner.ScoreOptions
	machine       learner.Machine
	shard         string
	strict, raw   bool
	quiet, json   bool
}

func scoreCommand(s Streams) *cli.Command {
	var o scoreOptions
	return &cli.Command{
		Name: "score", Usage: "predict the class of every photograph in FOLDER", ArgsUsage: "RUN|MODEL.onnx FOLDER",
		Description: "FOLDER is searched with its subfolders. It can also be one photograph, a tar file, a folder " +
			"of tar files (as\nwebdataset makes them), a folder of a bucket (s3://BUCKET/PATH), or - to read a list " +
			"of paths from\nstandard input. A path in a tar file is SHARD.tar/MEMBER." +
			"\nThe table has one row for each path, sorted by path, with a status " +
			"and a reason.\nIf the command is killed, run it again to continue.",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the table to `FILE`: .csv, .jsonl or .parquet",
				Destination: &o.score.Output},
			&cli.BoolFlag{Name: "strict", Usage: "exit with code 3 if a photograph could not be scored",
				Destination: &o.strict},
			&cli.StringFlag{Name: "shard", Usage: "score part `I/N` of the sorted paths, counted from 0; /N in a job array " +
				"(SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX)", Destination: &o.shard},
			&cli.BoolFlag{Name: "no-cache", Usage: "compute all features and keep none", Destination: &o.score.NoCache},
			&cli.BoolFlag{Name: "no-lock", Usage: "do not lock the table, for file systems without locks; make sure that no " +
				"other process writes it", Destination: &o.score.NoLock},
			&cli.BoolFlag{Name: "escape-formulas", Usage: "CSV: put an apostrophe before text that a spreadsheet would read " +
				"as a formula", Destination: &o.score.Escape},
		}, rowFlags(&o.score, &o.raw), inferenceFlags(&o.machine), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return usagef("score takes a RUN or MODEL.onnx and a FOLDER of photographs")
			}
			o.model, o.folder = c.Args().Get(0), c.Args().Get(1)
			return runScore(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

// inferenceFlags say what to run on.
func inferenceFlags(m *learner.Machine) []cli.Flag {
	return shell.InCategory("Machine",
		&cli.StringFlag{Name: "device", Value: "auto", Destination: &m.Device, Usage: "`DEVICE` to run on: " +
			"auto, cpu, cuda (NVIDIA GPUs), openvino (CPUs with bfloat16), openvino:GPU or openvino:NPU (of Intel)"},
		&cli.IntFlag{Name: "threads", Usage: "`N` threads of ONNX Runtime (default: one per core)",
			Destination: &m.Threads},
		&cli.IntFlag{Name: "workers", Usage: "decode `N` photographs at once (default: one per core)",
			Destination: &m.Workers},
		&cli.BoolFlag{Name: "no-tf32", Usage: "on NVIDIA GPUs, do not use TF32: compute matrix products in full float32",
			Destination: &m.NoTF32},
		&cli.Int64Flag{Name: "max-pixels", Usage: "do not decode photographs of more than this many `PIXELS`",
			DefaultText: "200 million", Destination: &m.MaxPixels},
		&cli.PathFlag{Name: "cache", Category: "Machine", Usage: "`DIR` of the feature cache (default: cache in " +
			"FINETUNE_HOME)", Destination: &m.Cache})
}

func runScore(ctx context.Context, o scoreOptions, out *term.Console) error {
	if o.score.Output == "" {
		return usagef("score needs -o FILE, which ends in .csv, .jsonl or .parquet")
	}
	place := o.score.Output
	var err error
	if o.score.Output, err = shell.Outgoing(place); err != nil {
		return err
	}
	if _, err := scores.FormatOf(o.score.Output); err != nil {
		return err
	}
	part, err := shell.ParseShard(o.shard, os.Getenv)
	if err != nil {
		return err
	}
	items, err := o.items(part, out)
	if err != nil {
		return err
	}
	c, err := learner.OpenClassifier(o.model, o.machine, out)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.raw {
		c.Raw()
	}
	report, err := c.Score(ctx, items, o.score, out)
	if err != nil {
		return err
	}
	if err := remote.Send(ctx, o.score.Output, place); err != nil {
		return err
	}
	if store.IsURL(place) {
		report.Output = place
	}
	if out.Quiet && report.Bad() == 0 {
		return out.Object(report)
	}
	out.Tell("%s: %s: %s%s; %.1f s, %s", report.Output, plural.Count(report.Rows, "row"), totals(report), oddOnes(report),
		report.Seconds,
		term.PerSecond(float64(report.Rows-report.Resumed)/report.Seconds, "images"))
	if err := out.Object(report); err != nil {
		return err
	}
	if o.strict && report.Bad() > 0 {
		return shell.ExitCode(failure.DataKind)
	}
	return nil
}

// items lists what to score: the shard's part.
func (o scoreOptions) items(part shell.Shard, out *term.Console) ([]dataset.Item, error) {
	var items []dataset.Item
	var warnings []string
	var err error
	if o.folder == "-" {
		items, warnings, err = scores.List(out.In)
	} else {
		items, warnings, err = dataset.Files(o.folder)
	}
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		out.Warn("%s", w)
	}
	if o.score.Table.Kaggle != "" {
		if err := scores.SortByID(items); err != nil {
			return nil, err
		}
	}
	lo, hi := part.Bounds(len(items))
	return items[lo:hi], nil
}

// oddOnes tells of odd photographs that were predicted.
func oddOnes(r learner.ScoreReport) string {
	if r.Odd == 0 || r.Status[scores.Odd] > 0 {
		return ""
	}
	return fmt.Sprintf(" (%d odd, unlike the training photographs)", r.Odd)
}

// totals counts rows by status, ok first; the counts add up to the rows.
func totals(r learner.ScoreReport) string {
	parts := []string{fmt.Sprintf("%d ok", r.Status[scores.OK])}
	for _, s := range []string{scores.Odd, "unreadable", "too_large", "empty", "unsupported", learner.StatusFailed} {
		if n := r.Status[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}
