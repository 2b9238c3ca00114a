// Package finished has the commands that look back at runs: compare and runs.
package finished

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/learner/compare"
)

// OutputFlags makes the flags that all commands have.
type OutputFlags func(quiet, json *bool) []cli.Flag

// Commands are compare and runs.
func Commands(s term.Streams, output OutputFlags) []*cli.Command {
	return []*cli.Command{compareCommand(s, output), runsCommand(s, output)}
}

func compareCommand(s term.Streams, outputFlags OutputFlags) *cli.Command {
	var output string
	var seed uint64
	var quiet, json bool
	return &cli.Command{
		Name: "compare", Usage: "compare finished RUNs on the same validation photographs", ArgsUsage: "RUN RUN…",
		Description: "Compares each RUN with the first: settings that differ, accuracy, log loss, McNemar's exact " +
			"test,\nand an interval of the difference of accuracy. With -o it writes a page with the photographs on which\n" +
			"they disagree.",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write a page to `FILE.html`", Destination: &output},
			&cli.Uint64Flag{Name: "seed", Usage: "`SEED` of the interval's random draws", Destination: &seed},
		}, outputFlags(&quiet, &json)),
		Action: func(c *cli.Context) error {
			out := term.New(s, quiet, json)
			r, err := compare.Compare(c.Args().Slice(), seed)
			if err != nil {
				return err
			}
			if output != "" {
				if output, err = shell.Output(output); err != nil {
					return err
				}
			}
			printComparison(out, r)
			if output != "" {
				if err := r.WritePage(output); err != nil {
					return err
				}
				out.Print("page       %s", output)
			}
			return out.Object(r)
		},
	}
}

func printComparison(out *term.Console, r *compare.Result) {
	if !out.JSON {
		w := tabwriter.NewWriter(out.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "run\taccuracy\tlog loss\tphotographs\ttraining")
		for _, run := range r.Runs {
			fmt.Fprintf(w, "%s\t%.2f %% (%.1f to %.1f)\t%.4f\t%d\t%.1f s\n", term.Line(run.Name), 100*run.Valid.Accuracy,
				100*run.Valid.Interval[0], 100*run.Valid.Interval[1], run.Valid.Loss, run.Images, run.Seconds)
		}
		w.Flush()
	}
	for _, s := range r.Settings {
		out.Print("differs    %s: %s", s.Field, strings.Join(s.Shown(), " | "))
	}
	for _, p := range r.Pairs {
		out.Print("compared   %s with %s: %s", p.B, p.A, p.Verdict())
	}
}

func runsCommand(s term.Streams, outputFlags OutputFlags) *cli.Command {
	var quiet, json bool
	return &cli.Command{
		Name: "runs", Usage: "list the runs in DIR, runs/ unless it is given", ArgsUsage: "[DIR]",
		Flags: outputFlags(&quiet, &json),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return failure.Usagef("runs takes one DIR, a folder with runs")
			}
			dir := "runs"
			if c.NArg() == 1 {
				dir = c.Args().First()
			}
			list, err := compare.List(dir)
			if err != nil {
				return err
			}
			out := term.New(s, quiet, json)
			printRuns(out, dir, list)
			return out.Object(map[string]any{"runs": list})
		},
	}
}

func printRuns(out *term.Console, dir string, list []compare.Listed) {
	if len(list) == 0 {
		out.Print("no runs in %s; `finetune train DATA` makes one", dir)
	}
	for _, l := range list {
		if l.Broken != "" {
			out.Warn("%s: %s", l.Name, l.Broken)
		}
	}
	if len(list) == 0 || out.JSON {
		return
	}
	w := tabwriter.NewWriter(out.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "run\tdate (UTC)\tdata\tbody\taccuracy\tlog loss\ttrain\tvalid")
	for _, l := range list {
		result := "not finished\t\t\t"
		switch {
		case l.Broken != "":
			result = "broken\t\t\t"
		case l.Finished:
			result = fmt.Sprintf("%.2f %%\t%.4f\t%d\t%d", 100*l.Accuracy, l.Loss, l.Train, l.Valid)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", term.Line(l.Name), l.Date.Format("2006-01-02 15:04"), term.Line(l.Data),
			term.Line(l.Body), result)
	}
	w.Flush()
}
