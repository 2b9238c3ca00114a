// Package jobs has the commands of work that is divided among processes: plan, run, work,
// status, and merge of a job.
package jobs

import (
	"slices"

	"github.com/urfave/cli/v2"

	"finetune/cli/term"
	"finetune/learner"
	"finetune/learner/tasks"
)

// Shared is what these commands have in common with others.
type Shared struct {
	Version   string
	Output    func(quiet, json *bool) []cli.Flag
	Rows      func(o *learner.ScoreOptions, raw *bool) []cli.Flag
	Inference func(m *learner.Machine) []cli.Flag
	Body      func(c *learner.Config) []cli.Flag
	Data      func(c *learner.Config) []cli.Flag
}

// Commands are plan, run, work and status.
func Commands(s term.Streams, shared Shared) []*cli.Command {
	return []*cli.Command{planCommand(s, shared), runCommand(s, shared), workCommand(s, shared), statusCommand(s, shared)}
}

// only are the flags of these names.
func only(flags []cli.Flag, names ...string) []cli.Flag {
	return slices.DeleteFunc(flags, func(f cli.Flag) bool { return !slices.Contains(names, f.Names()[0]) })
}

// hereFlags say where a worker finds things, and how much of the machine it takes.
func hereFlags(h *tasks.Here) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "model", Category: "Machine", Usage: "`MODEL` of the job on this machine (default: where it " +
			"was planned)", Destination: &h.Model},
		&cli.PathFlag{Name: "photographs", Category: "Machine", Usage: "`FOLDER` of the job's paths on this machine " +
			"(default: where it was planned)", Destination: &h.Photographs},
		&cli.IntFlag{Name: "threads", Category: "Machine", Usage: "`N` threads of ONNX Runtime for a worker (default: one " +
			"per core, divided among the workers)", Destination: &h.Threads},
	}
}
