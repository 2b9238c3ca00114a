package jobs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/job"
	"finetune/job/engine"
	"finetune/learner/scorejob"
)

type runOptions struct {
	engine      string
	workers     int
	dry         bool
	here        scorejob.Here
	quiet, json bool
}

func runCommand(s term.Streams, shared Shared) *cli.Command {
	var o runOptions
	return &cli.Command{
		Name: "run", Usage: "do a JOB with several workers", ArgsUsage: "JOB",
		Description: "Workers that die are replaced; a task is tried three times at most. The same command goes on after a " +
			"kill.",
		Flags: shell.Join([]cli.Flag{
			&cli.StringFlag{Name: "engine", Usage: "`ENGINE` that starts workers: local, processes on this machine",
				Value: "local", Destination: &o.engine},
			&cli.IntFlag{Name: "workers", Usage: "`N` workers (default: one a core)", Destination: &o.workers},
			&cli.BoolFlag{Name: "dry-run", Usage: "print what would be started, and start nothing", Destination: &o.dry},
		}, hereFlags(&o.here), shared.Output(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return failure.Usagef("run takes one JOB that `finetune plan` made")
			}
			return runJob(c.Context, c.Args().First(), o, term.New(s, o.quiet, o.json))
		},
	}
}

func runJob(ctx context.Context, place string, o runOptions, out *term.Console) error {
	j, err := job.Open(ctx, place)
	if err != nil {
		return err
	}
	defer j.Close()
	if o.workers == 0 {
		o.workers = min(runtime.NumCPU(), j.Tasks)
	}
	if o.here.Threads == 0 {
		o.here.Threads = max(runtime.NumCPU()/o.workers, 1)
	}
	args, err := o.workArgs(place)
	if err != nil {
		return err
	}
	if o.dry {
		out.Print("%d × %s", o.workers, shellLine(args))
		return out.Object(map[string]any{"workers": o.workers, "command": args})
	}
	show, end := out.Progress("job", "tasks")
	done, before := 0, 0
	left, err := j.Left(ctx)
	if err != nil {
		return err
	}
	before = j.Tasks
	for range left {
		before--
	}
	l := engine.Local{Workers: o.workers, Worker: func() *exec.Cmd { return exec.Command(args[0], args[1:]...) },
		Stderr: out.Err, Tell: func(job.Done) { done++; show(before+done, j.Tasks) }}
	err = l.Run(ctx, j)
	end()
	if err != nil {
		return err
	}
	out.Say("%s: all %d tasks are done, %d of them now; `finetune merge %s -o FILE` makes one table", j, j.Tasks, done, j)
	return out.Object(map[string]any{"job": j.String(), "tasks": j.Tasks, "done": done})
}

// workArgs are the command line of a worker.
func (o runOptions) workArgs(place string) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("run: which program this is: %w", err)
	}
	threads := strconv.Itoa(o.here.Threads)
	args := []string{self, "work", "--stream", "--quiet", "--threads", threads, "--workers", threads}
	if o.here.Model != "" {
		args = append(args, "--model", o.here.Model)
	}
	if o.here.Photographs != "" {
		args = append(args, "--photographs", o.here.Photographs)
	}
	return append(args, "--", place), nil
}

// shellLine quotes a command for a person to copy.
func shellLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if quoted[i] = a; a == "" || strings.ContainsAny(a, " \t\n\"'\\$`&;|<>()*?[]{}#~!") {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
