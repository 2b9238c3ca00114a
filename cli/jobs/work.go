package jobs

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/job"
	"finetune/learner/tasks"
)

func workCommand(s term.Streams, shared Shared) *cli.Command {
	var here tasks.Here
	var part string
	var stream, quiet bool
	return &cli.Command{
		Name: "work", Usage: "do tasks of a JOB, as one of many processes", ArgsUsage: "JOB",
		Description: "Tasks that are done are left out, so the same command continues after a kill.\nPrints a line " +
			"of JSON for each task.",
		Flags: shell.Join([]cli.Flag{
			&cli.StringFlag{Name: "shard", Usage: "do tasks I, I+N, I+2N … of `I/N`, counted from 0; /N in a job array; auto " +
				"under Slurm and Google Batch", Destination: &part},
			&cli.BoolFlag{Name: "stream", Usage: "read the numbers of the tasks from standard input, one per line",
				Destination: &stream},
		}, hereFlags(&here), []cli.Flag{
			&cli.IntFlag{Name: "workers", Category: "Machine", Usage: "decode `N` photographs at once (default: one per core)",
				Destination: &here.Workers},
		}, only(shared.Output(&quiet, new(bool)), "quiet")),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 || stream && part != "" {
				return failure.Usagef("work takes one JOB that `finetune plan` made, and --shard or --stream, not both")
			}
			share, err := jobShare(part, os.Getenv)
			if err != nil {
				return err
			}
			out := term.New(s, quiet, true)
			j, err := job.Open(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			defer j.Close()
			worker, err := tasks.Open(j, here, out)
			if err != nil {
				return err
			}
			defer worker.Close()
			tell := func(d job.Done) error { return json.NewEncoder(s.Out).Encode(d) }
			if stream {
				return j.Stream(c.Context, worker, s.In, tell)
			}
			return j.Work(c.Context, worker, share, tell)
		},
	}
}

// arrays are the variables of job arrays: number, size and first number.
var arrays = [][3]string{
	{"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"},
	{"JOB_COMPLETION_INDEX", "", ""}, // Kubernetes
	{"AWS_BATCH_JOB_ARRAY_INDEX", "", ""},
	{"BATCH_TASK_INDEX", "BATCH_TASK_COUNT", ""}, // Google
}

// jobShare reads I/N; /N and auto take what is missing from a job array's variables.
// An empty text is everything.
func jobShare(text string, getenv func(string) string) (job.Share, error) {
	if text == "" {
		return job.Share{I: 0, N: 1}, nil
	}
	i, n, _ := strings.Cut(text, "/")
	for _, a := range arrays {
		if i != "" && i != "auto" || getenv(a[0]) == "" {
			continue
		}
		number, err := strconv.Atoi(getenv(a[0]))
		first, _ := strconv.Atoi(getenv(a[2])) // 0 where it is not set
		if err != nil {
			break
		}
		if i = strconv.Itoa(number - first); n == "" {
			n = getenv(a[1])
		}
	}
	index, errI := strconv.Atoi(i)
	count, errN := strconv.Atoi(n)
	if errI != nil || errN != nil || index < 0 || count < 1 || index >= count {
		return job.Share{}, failure.Usagef("--shard %s: write I/N with 0 <= I < N, or /N in a job array (Slurm, Kubernetes, "+
			"AWS or Google Batch), or auto where the array tells its size (Slurm, Google Batch)", text)
	}
	return job.Share{I: index, N: count}, nil
}
