package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/plural"
	"finetune/learner"
)

type evaluateOptions struct {
	model       string
	data        learner.DataConfig
	score       learner.ScoreOptions
	machine     learner.Machine
	raw         bool
	quiet, json bool
}

func evaluateCommand(s Streams) *cli.Command {
	var o evaluateOptions
	return &cli.Command{
		Name: "evaluate", Usage: "measure the accuracy of a RUN or an exported file on labelled photographs",
		ArgsUsage: "RUN|MODEL.onnx [DATA]",
		Description: "Without DATA, a RUN is measured on its own validation photographs. DATA has valid/CLASS/* or " +
			"CLASS/*.",
		Flags: shell.Join([]cli.Flag{
			&cli.IntFlag{Name: "tta", Usage: "test-time augmentation: average over `N` augmented views and the centre view (4 " +
				"is usual)", Destination: &o.score.TTA},
			&cli.StringFlag{Name: "labels", Usage: "read labels from CSV `FILE` with the header path,label[,split]",
				Destination: &o.data.Labels},
			&cli.StringFlag{Name: "label-sep", Usage: "`SEPARATOR` between the labels of one photograph",
				Destination: &o.data.LabelSep},
			excludeFlag(&o.data),
			rawFlag(&o.raw),
			coverageFlag(&o.score.Table.Coverage),
			&cli.BoolFlag{Name: "no-cache", Usage: "compute all features and keep none", Destination: &o.score.NoCache},
		}, inferenceFlags(&o.machine), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() < 1 || c.NArg() > 2 {
				return usagef("evaluate takes a RUN or MODEL.onnx, and DATA if it is not the run's own")
			}
			o.model, o.data.Path = c.Args().Get(0), c.Args().Get(1)
			return runEvaluate(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

func runEvaluate(ctx context.Context, o evaluateOptions, out *term.Console) error {
	start := time.Now()
	c, err := learner.OpenClassifier(o.model, o.machine, out)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.raw {
		c.Raw()
	}
	e, err := c.Evaluate(ctx, o.data, o.score, out)
	if err != nil {
		return err
	}
	e.Seconds = time.Since(start).Seconds()
	printEvaluation(out, e)
	return out.Object(e)
}

// printEvaluation prints the numbers, the classes and, where it fits, the confusions.
func printEvaluation(out *term.Console, e *learner.Evaluation) {
	out.Print("accuracy   %.2f %% of %s (95 %% interval %.1f to %.1f)", 100*e.Accuracy,
		plural.Count(e.Images, "photograph"), 100*e.Interval[0], 100*e.Interval[1])
	out.Print("log loss   %.4f", e.Loss)
	if e.Top5 != nil {
		out.Print("top 5      %.2f %%", 100**e.Top5)
	}
	if e.AUC != nil {
		out.Print("ROC AUC    %.4f for %s", *e.AUC, e.Classes[1])
	}
	if e.ECE != nil {
		out.Print("ECE        %.4f (calibration error; perfect probabilities would show %.4f by chance)", *e.ECE,
			*e.ByChance)
	}
	if s := e.Sets; s != nil {
		out.Print("sets       hold the true class of %.1f %% of the photographs (%.1f %% asked for), %.2f classes each; "+
			"%.1f %% are unsure", 100*s.Reached, 100*s.Coverage, s.MeanSize, 100*s.Unsure)
	}
	if e.Odd != nil && *e.Odd > 0 {
		out.Print("odd        photographs unlike the training photographs: %d of %d; 1 in 100 is usual",
			*e.Odd, e.Images)
	}
	warnMajority(out, e.Majority, e.Accuracy, e.Interval)
	if e.PerClass == nil || out.JSON {
		return
	}
	const widest = 12 // classes of a confusion matrix that still fits a screen
	w := tabwriter.NewWriter(out.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nclass\tprecision\trecall\tF1\tphotographs")
	for _, name := range e.Classes {
		s := e.PerClass[name]
		fmt.Fprintf(w, "%s\t%.4f\t%.4f\t%.4f\t%d\n", term.Line(name), s.Precision, s.Recall, s.F1, s.Support)
	}
	w.Flush()
	if len(e.Classes) > widest {
		return
	}
	fmt.Fprint(w, "\ntrue \\ predicted")
	for _, name := range e.Classes {
		fmt.Fprintf(w, "\t%s", term.Line(name))
	}
	fmt.Fprintln(w)
	for i, row := range e.Confusion {
		fmt.Fprint(w, term.Line(e.Classes[i]))
		for _, n := range row {
			fmt.Fprintf(w, "\t%d", n)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}
