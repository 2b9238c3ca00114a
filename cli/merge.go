package cli

import (
	"github.com/urfave/cli/v2"

	"finetune/cli/jobs"
	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/plural"
	"finetune/internal/remote"
	"finetune/scores"
)

func mergeCommand(s Streams) *cli.Command {
	var into string
	var escape, quiet, json bool
	return &cli.Command{
		Name: "merge", Usage: "join the tables that `finetune score --shard` wrote, or the parts of a job",
		ArgsUsage: "JOB|PART…",
		Description: "The parts can come in any order. The result has the same bytes as the table of one run over " +
			"all photographs.\nOf a JOB, -o - writes CSV to standard output.",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the joined table to `FILE`, in the format of " +
				"the parts", Destination: &into},
			&cli.BoolFlag{Name: "escape-formulas", Usage: "CSV of a JOB: put an apostrophe before text that a " +
				"spreadsheet would read as a formula", Destination: &escape},
		}, outputFlags(&quiet, &json)),
		Action: func(c *cli.Context) (err error) {
			if into == "" || c.NArg() == 0 {
				return usagef("merge takes the parts and -o FILE, as in `finetune merge part-*.csv -o all.csv`")
			}
			out := term.New(s, quiet, json)
			if c.NArg() == 1 && jobs.IsJob(c.Args().First()) {
				return jobs.Merge(c.Context, c.Args().First(), into, escape, out)
			}
			if escape {
				return usagef("merge --escape-formulas is for a JOB; parts of a table are escaped where `finetune score " +
					"--escape-formulas` writes them")
			}
			local, err := shell.Outgoing(into)
			if err != nil {
				return err
			}
			rows, err := scores.Merge(local, c.Args().Slice())
			if err == nil {
				err = remote.Send(c.Context, local, into)
			}
			if err != nil {
				return err
			}
			out.Say("%s: %s from %s", into, plural.Count(rows, "row"), plural.Count(c.NArg(), "part"))
			return out.Object(map[string]any{"output": into, "rows": rows, "parts": c.NArg()})
		},
	}
}
