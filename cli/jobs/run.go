package jobs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/store"
	"finetune/job"
	"finetune/job/engine"
	"finetune/learner/tasks"
)

type runOptions struct {
	engine      string
	name, image string
	workers     int
	dry         bool
	here        tasks.Here
	quiet, json bool
}

func runCommand(s term.Streams, shared Shared) *cli.Command {
	var o runOptions
	return &cli.Command{
		Name: "run", Usage: "do the tasks of a JOB with several workers", ArgsUsage: "JOB",
		Description: "On this machine, run replaces workers that die, and tries a task up to three times.\nOn a " +
			"cluster, run submits the workers and ends (on Spark, when they do); `finetune status JOB` shows their " +
			"progress.\nIf run is killed, run the same command again to continue.",
		Flags: shell.Join([]cli.Flag{
			&cli.StringFlag{Name: "engine", Usage: "`ENGINE` that starts workers: local, " + strings.Join(engine.Clusters,
				", "), Value: "local", Destination: &o.engine},
			&cli.IntFlag{Name: "workers", Usage: "`N` workers (default: one per core; 100 on a cluster)",
				Destination: &o.workers},
			&cli.BoolFlag{Name: "dry-run", Usage: "print what would be started, but start nothing", Destination: &o.dry},
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the job on a cluster", Value: "finetune", Destination: &o.name},
			&cli.StringFlag{Name: "image", Usage: "kubernetes: container `IMAGE` of the workers", Destination: &o.image},
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
	if o.engine == "local" {
		return o.local(ctx, j, place, out)
	}
	return o.cluster(ctx, j, place, out)
}

// local runs workers on this machine.
func (o runOptions) local(ctx context.Context, j *job.Job, place string, out *term.Console) error {
	if o.workers == 0 {
		o.workers = min(runtime.NumCPU(), j.Tasks)
	}
	if o.here.Threads == 0 {
		o.here.Threads = max(runtime.NumCPU()/o.workers, 1)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("run: which program this is: %w", err)
	}
	args := append(o.workArgs(self), "--stream", "--", place)
	if o.dry {
		out.Print("%d × %s", o.workers, engine.ShellLine(args))
		return out.Object(map[string]any{"workers": o.workers, "command": args})
	}
	st, err := j.Status(ctx)
	if err != nil {
		return err
	}
	done, before := 0, st.Done+len(st.Bad)
	show, end := out.Progress("job", "tasks")
	l := engine.Local{Workers: o.workers, Worker: func() *exec.Cmd { return exec.Command(args[0], args[1:]...) },
		Left: st.Left(), Stderr: out.Err, Tell: func(job.Done) { done++; show(before+done, j.Tasks) }}
	err = l.Run(ctx, j)
	end()
	if err != nil {
		return err
	}
	if st, err = j.Status(ctx); err == nil { // of parts that were there before, or went bad meanwhile
		err = st.Whole()
	}
	if err != nil {
		return err
	}
	out.Say("%s: complete; %d of %s done now; `finetune merge %s -o FILE` makes one table", j, done,
		plural.Count(j.Tasks, "task"), j)
	return out.Object(map[string]any{"job": j.String(), "tasks": j.Tasks, "done": done})
}

// cluster submits workers.
func (o runOptions) cluster(ctx context.Context, j *job.Job, place string, out *term.Console) (err error) {
	program := "finetune" // of an image
	if o.engine != "kubernetes" {
		if program, err = os.Executable(); err != nil {
			return fmt.Errorf("run: which program this is: %w", err)
		}
	}
	if !store.IsURL(place) {
		if place, err = filepath.Abs(place); err != nil {
			return fmt.Errorf("run: %w", err)
		}
	}
	o.here.Threads = max(o.here.Threads, 1)
	if o.workers == 0 {
		o.workers = min(j.Tasks, 100)
	}
	order := engine.Order{Name: o.name, Place: place, Args: o.workArgs(program), Workers: o.workers, Tasks: j.Tasks,
		Threads: o.here.Threads, Image: o.image}
	script, err := order.Write(o.engine)
	if err != nil {
		return err
	}
	if o.dry {
		out.Say("not submitted; what is printed goes to the standard input of: %s", engine.ShellLine(script.Submit))
		out.Lines(strings.TrimSuffix(script.Text, "\n"))
		return out.Object(map[string]any{"command": script.Submit, "script": script.Text})
	}
	if !store.IsURL(place) { // where the cluster writes what workers say
		if err := os.MkdirAll(filepath.Join(place, "logs"), 0o777); err != nil {
			return fmt.Errorf("run: %w", err)
		}
	}
	answer, err := script.Run(ctx)
	if err != nil {
		return err
	}
	answer = answer[strings.LastIndexByte(answer, '\n')+1:] // Spark's has a line for each task
	out.Say("%s: %s on %s; %s: %s; `finetune status` tells how far they are", j, plural.Count(o.workers, "worker"),
		o.engine, script.Answer, answer)
	return out.Object(map[string]any{"job": j.String(), "workers": o.workers, "answer": answer})
}

// workArgs are the command line of a worker, without its share and the job.
func (o runOptions) workArgs(program string) []string {
	threads := strconv.Itoa(o.here.Threads)
	args := []string{program, "work", "--quiet", "--threads", threads, "--workers", threads}
	if o.here.Model != "" {
		args = append(args, "--model", o.here.Model)
	}
	if o.here.Photographs != "" {
		args = append(args, "--photographs", o.here.Photographs)
	}
	return args
}
