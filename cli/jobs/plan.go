package jobs

import (
	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/job"
	"finetune/learner"
	"finetune/learner/tasks"
)

func planCommand(s term.Streams, shared Shared) *cli.Command {
	return &cli.Command{
		Name: "plan", Usage: "divide work into tasks for any number of processes on any machines",
		Description: "JOB is a folder, or a bucket such as s3://BUCKET/PATH?region=REGION. Credentials come from " +
			"the platform.\nThen do the tasks with `finetune run JOB`, or with `finetune work JOB` on any number " +
			"of machines.",
		Subcommands: []*cli.Command{planScoreCommand(s, shared), planPrecomputeCommand(s, shared)},
		Action: func(c *cli.Context) error {
			return failure.Usagef("plan takes what is to be done: `finetune plan score MODEL INPUT JOB`, or " +
				"`finetune plan precompute INPUT JOB`")
		},
	}
}

// planned says what a plan is, and how to go on.
func planned(s term.Streams, quiet, json bool, plan func(out *term.Console) (*job.Job, error)) error {
	out := term.New(s, quiet, json)
	j, err := plan(out)
	if err != nil {
		return err
	}
	defer j.Close()
	out.Say("%s: %s in %s; `finetune run %s` does them", j, plural.Count(j.Rows, "photograph"),
		plural.Count(j.Tasks, "task"), j)
	return out.Object(map[string]any{"job": j.String(), "rows": j.Rows, "tasks": j.Tasks})
}

const inputs = "INPUT is a folder, also of a bucket (s3://BUCKET/PATH), a tar file, a folder of tar files, a file of " +
	"paths,\none a line, or - for paths on standard input."

func planScoreCommand(s term.Streams, shared Shared) *cli.Command {
	n := tasks.New{Finetune: shared.Version, In: s.In}
	var o learner.ScoreOptions
	var m learner.Machine
	var raw, quiet, json bool
	return &cli.Command{
		Name: "score", Usage: "plan the scoring of INPUT", ArgsUsage: "RUN|MODEL.onnx INPUT JOB", Description: inputs,
		Flags: shell.Join([]cli.Flag{
			&cli.IntFlag{Name: "task-rows", Usage: "`N` photographs per task", Value: 10000, Destination: &n.TaskRows},
		}, shared.Rows(&o, &raw), only(shared.Inference(&m), machine...), shared.Output(&quiet, &json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 3 {
				return failure.Usagef("plan score takes a RUN or MODEL.onnx, an INPUT and a JOB, a new folder or a bucket")
			}
			n.Input, n.Place = c.Args().Get(1), c.Args().Get(2)
			return planned(s, quiet, json, func(out *term.Console) (*job.Job, error) {
				return tasks.PlanScore(c.Context, n, c.Args().First(), tasks.RowsOf(o, raw), m, out)
			})
		},
	}
}

func planPrecomputeCommand(s term.Streams, shared Shared) *cli.Command {
	n := tasks.New{Finetune: shared.Version, In: s.In}
	config := learner.DefaultConfig()
	var quiet, json bool
	return &cli.Command{
		Name: "precompute", Usage: "plan the features of INPUT, with a column for each: f_0, f_1 …",
		ArgsUsage: "INPUT JOB",
		Description: inputs + "\nOf a folder that `finetune train` takes, or with --labels, each row has its label and " +
			"split; so does each of tar files with .cls or .json\nmembers. `finetune train JOB` trains a head on them.",
		Flags: shell.Join([]cli.Flag{
			&cli.IntFlag{Name: "task-rows", Usage: "`N` photographs per task", Value: 1000, Destination: &n.TaskRows},
			&cli.BoolFlag{Name: "float16", Usage: "keep features as float16, in half the space", Destination: &n.Float16},
			&cli.Uint64Flag{Name: "seed", Category: "Data", Usage: "`SEED` that draws the validation photographs and the " +
				"order of the rows", Destination: &config.Train.Seed},
		}, only(shared.Data(&config), "labels", "label-sep", "exclude", "valid-pct"), shared.Body(&config),
			only(shared.Inference(&config.Machine), machine...), shared.Output(&quiet, &json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return failure.Usagef("plan precompute takes an INPUT and a JOB, a new folder or a bucket")
			}
			n.Input, n.Place = c.Args().Get(0), c.Args().Get(1)
			config.Images.MaxZoom, config.Images.Views = 0, 0 // of augmentation, which there is none
			return planned(s, quiet, json, func(out *term.Console) (*job.Job, error) {
				return tasks.PlanFeatures(c.Context, n, config, out)
			})
		},
	}
}

// machine are the flags of a machine that the numbers depend on.
var machine = []string{"device", "no-tf32", "max-pixels"}
