package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/learner"
)

type evaluateOptions struct {
	model       string
	data        learner.DataConfig
	score       learner.ScoreOptions
	machine     learner.Machine
	quiet, json bool
}

func evaluateCommand(s Streams) *cli.Command {
	var o evaluateOptions
	return &cli.Command{
		Name: "evaluate", Usage: "measure the accuracy of a RUN or an exported file on labelled photographs",
		ArgsUsage: "RUN|MODEL.onnx [DATA]",
		Description: "Without DATA, a RUN is measured on its own validation photographs. DATA has valid/CLASS/* or " +
			"CLASS/*.",
		Flags: join([]cli.Flag{
			&cli.IntFlag{Name: "tta", Usage: "test-time augmentation: average over `N` augmented views and the centre view (4 " +
				"is usual)", Destination: &o.score.TTA},
			&cli.StringFlag{Name: "labels", Usage: "read labels from CSV `FILE` with the header path,label[,split]",
				Destination: &o.data.Labels},
			&cli.StringFlag{Name: "label-sep", Usage: "`SEPARATOR` between the labels of one photograph",
				Destination: &o.data.LabelSep},
			&cli.BoolFlag{Name: "no-cache", Usage: "compute all features and keep none", Destination: &o.score.NoCache},
		}, inferenceFlags(&o.machine), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() < 1 || c.NArg() > 2 {
				return usagef("evaluate takes a RUN or MODEL.onnx, and DATA if it is not the run's own")
			}
			o.model, o.data.Path = c.Args().Get(0), c.Args().Get(1)
			return runEvaluate(c.Context, o, &console{Streams: s, quiet: o.quiet, json: o.json})
		},
	}
}

func runEvaluate(ctx context.Context, o evaluateOptions, out *console) error {
	start := time.Now()
	c, err := learner.OpenClassifier(o.model, o.machine, out)
	if err != nil {
		return err
	}
	defer c.Close()
	e, err := c.Evaluate(ctx, o.data, o.score, out)
	if err != nil {
		return err
	}
	e.Seconds = time.Since(start).Seconds()
	out.evaluation(e)
	return out.object(e)
}

// evaluation prints the numbers, the classes and, where it fits, the confusions.
func (c *console) evaluation(e *learner.Evaluation) {
	c.print("accuracy   %.2f %% of %d photographs (95 %% interval %.1f to %.1f)", 100*e.Accuracy, e.Images,
		100*e.Interval[0], 100*e.Interval[1])
	c.print("log loss   %.4f", e.Loss)
	if e.Top5 != nil {
		c.print("top 5      %.2f %%", 100**e.Top5)
	}
	if e.AUC != nil {
		c.print("ROC AUC    %.4f for %s", *e.AUC, e.Classes[1])
	}
	if e.ECE != nil {
		c.print("ECE        %.4f", *e.ECE)
	}
	c.majority(e.Majority, e.Accuracy, e.Interval)
	if e.PerClass == nil || c.json {
		return
	}
	const widest = 12 // classes of a confusion matrix that still fits a screen
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nclass\tprecision\trecall\tF1\tphotographs")
	for _, name := range e.Classes {
		s := e.PerClass[name]
		fmt.Fprintf(w, "%s\t%.4f\t%.4f\t%.4f\t%d\n", plain(name), s.Precision, s.Recall, s.F1, s.Support)
	}
	w.Flush()
	if len(e.Classes) > widest {
		return
	}
	fmt.Fprintf(w, "\ntrue \\ called\t%s\n", plain(strings.Join(e.Classes, "\t")))
	for i, row := range e.Confusion {
		fmt.Fprint(w, plain(e.Classes[i]))
		for _, n := range row {
			fmt.Fprintf(w, "\t%d", n)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}
