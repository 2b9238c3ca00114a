package jobs

import (
	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/learner/scorejob"
)

func planCommand(s term.Streams, shared Shared) *cli.Command {
	return &cli.Command{
		Name: "plan", Usage: "divide work among any number of processes on any machines",
		Description: "JOB is a folder, or a bucket such as s3://BUCKET/PATH?region=REGION. Credentials come from the " +
			"platform.\nThen `finetune run JOB`, or `finetune work JOB` as often and wherever you like.",
		Subcommands: []*cli.Command{planScoreCommand(s, shared)},
		Action: func(c *cli.Context) error {
			return failure.Usagef("plan takes what is to be done: `finetune plan score MODEL INPUT JOB`")
		},
	}
}

func planScoreCommand(s term.Streams, shared Shared) *cli.Command {
	n := scorejob.New{Finetune: shared.Version, In: s.In}
	var quiet, json bool
	return &cli.Command{
		Name: "score", Usage: "plan scoring of INPUT", ArgsUsage: "RUN|MODEL.onnx INPUT JOB",
		Description: "INPUT is a folder, a tar file, a file of paths, one a line, or - for paths on standard input.",
		Flags: shell.Join([]cli.Flag{
			&cli.IntFlag{Name: "task-rows", Usage: "`N` photographs a task", Value: 10000, Destination: &n.TaskRows},
			&cli.IntFlag{Name: "tta", Usage: "average over `N` augmented views and the centre view",
				Destination: &n.Options.TTA},
			&cli.IntFlag{Name: "top", Usage: "columns for the `K` most probable classes instead of one a class",
				Destination: &n.Options.Top},
			&cli.Float64Flag{Name: "threshold", Usage: "leave the column predicted empty below probability `P`",
				Destination: &n.Options.Threshold},
		}, only(shared.Inference(&n.Machine), "device", "no-tf32", "max-pixels"), shared.Output(&quiet, &json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 3 {
				return failure.Usagef("plan score takes a RUN or MODEL.onnx, an INPUT and a JOB, a new folder or a bucket")
			}
			n.Model, n.Input, n.Place = c.Args().Get(0), c.Args().Get(1), c.Args().Get(2)
			out := term.New(s, quiet, json)
			j, err := scorejob.Plan(c.Context, n, out)
			if err != nil {
				return err
			}
			defer j.Close()
			out.Say("%s: %d photographs in %d tasks; `finetune run %s` does them", j, j.Rows, j.Tasks, j)
			return out.Object(map[string]any{"job": j.String(), "rows": j.Rows, "tasks": j.Tasks})
		},
	}
}
