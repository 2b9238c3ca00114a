package cli

import (
	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/doctor"
	"finetune/internal/failure"
)

func doctorCommand(s Streams) *cli.Command {
	var quiet, json bool
	return &cli.Command{
		Name: "doctor", Usage: "list what finetune needs, what is missing and how to fix it",
		Description: "The exit code is 1 if something needed is missing or broken; --quiet prints only that.",
		Flags:       outputFlags(&quiet, &json),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("doctor takes no argument, got %q", c.Args().First())
			}
			return runDoctor(term.New(s, quiet, json))
		},
	}
}

func runDoctor(out *term.Console) error {
	found := doctor.Check()
	shown := found
	if out.Quiet {
		shown = nil
		for _, f := range found {
			if f.Status >= doctor.Missing {
				shown = append(shown, f)
			}
		}
	}
	if !out.JSON {
		doctor.Print(out.Out, shown)
	}
	if err := out.Object(found); err != nil {
		return err
	}
	if doctor.Worst(found) >= doctor.Missing {
		return shell.ExitCode(failure.Other)
	}
	return nil
}
