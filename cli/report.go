package cli

import (
	"github.com/urfave/cli/v2"

	"finetune/cli/term"
	"finetune/learner"
)

func reportCommand(s Streams) *cli.Command {
	var quiet, json bool
	return &cli.Command{
		Name: "report", Usage: "write the report of a finished RUN again", ArgsUsage: "RUN",
		Flags: outputFlags(&quiet, &json),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("report takes one RUN, a folder that `finetune train` made")
			}
			out := term.New(s, quiet, json)
			page, err := learner.WriteReport(c.Args().First())
			if err != nil {
				return err
			}
			out.Print("%s", page)
			return out.Object(map[string]string{"report": page})
		},
	}
}
