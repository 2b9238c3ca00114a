package cli

import (
	"github.com/urfave/cli/v2"

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
			return runDoctor(&console{Streams: s, quiet: quiet, json: json})
		},
	}
}

func runDoctor(out *console) error {
	found := doctor.Check()
	shown := found
	if out.quiet {
		shown = nil
		for _, f := range found {
			if f.Status >= doctor.Missing {
				shown = append(shown, f)
			}
		}
	}
	if !out.json {
		doctor.Print(out.Out, shown)
	}
	if err := out.object(found); err != nil {
		return err
	}
	if doctor.Worst(found) >= doctor.Missing {
		return exitCode(failure.Other)
	}
	return nil
}
