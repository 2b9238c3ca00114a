package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/cli/jobs"
	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/plural"
	"finetune/learner"
)

type trainOptions struct {
	config      learner.Config
	run         string
	how         learner.RunOptions
	noReport    bool
	quiet, json bool
	set         func(flag string) bool // whether the flag was given
}

func trainCommand(s Streams) *cli.Command {
	o := trainOptions{config: learner.DefaultConfig()}
	return &cli.Command{
		Name: "train", Usage: "train a classifier on DATA and report its accuracy", ArgsUsage: "DATA|JOB",
		Description: "DATA has train/CLASS/* and valid/CLASS/*, or CLASS/* alone; a fifth of each class is then " +
			"held out for validation.\nDATA may be in a bucket: s3://BUCKET/PATH.\nThe frozen body runs on each photograph " +
			"once. Its features are cached, so a " +
			"second run starts at once.\nJOB is a finished job of `finetune plan precompute`: the head is trained on " +
			"its parts, which need not fit into memory.",
		Flags: shell.Join(
			runFlags(&o), windowFlag(&o.config),
			trainingFlags(&o.config), augmentFlags(&o.config), dataFlags(&o.config), bodyFlags(&o.config),
			machineFlags(&o.config),
			outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			o.config.Data.Path = c.Args().First()
			if c.NArg() > 1 {
				return usagef("train takes one DATA, got %s", strings.Join(c.Args().Slice(), " "))
			}
			o.set = c.IsSet
			isJob, err := jobs.Holds(o.config.Data.Path)
			if err != nil {
				return err
			}
			if isJob {
				o.config.Data.Path, o.config.Data.Job = "", o.config.Data.Path
			}
			if t := &o.config.Train; t.Unfreeze && !slices.ContainsFunc(sayHow, c.IsSet) {
				learner.Gentle(t)
				t.Trial = learner.TrialAsked
			}
			return runTrain(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

// sayHow are the flags that say how the whole network is trained. Without them it is fine-tuned gently.
var sayHow = []string{"load", "head", "hidden", "dropout", "lr", "lrs", "layer-decay", "optimiser", "momentum",
	"schedule", "epochs", "cycles", "cycle-len", "cycle-mult", "clr", "wd", "decoupled", "norm-wd", "swa", "bn-freeze",
	"bn-momentum", "mix"}

func runFlags(o *trainOptions) []cli.Flag {
	return []cli.Flag{
		&cli.PathFlag{Name: "run", Usage: "folder `DIR` of the run (default: runs/DATA-TIME)", Destination: &o.run},
		&cli.BoolFlag{Name: "resume", Usage: "continue the run in --run; start it if there is none; print its result if it " +
			"is finished", Destination: &o.how.Resume},
		&cli.BoolFlag{Name: "overwrite", Usage: "replace the run in --run once the new one is finished; with --resume, " +
			"continue an interrupted replacement", Destination: &o.how.Overwrite},
		&cli.BoolFlag{Name: "no-lock", Usage: "do not lock --run, for file systems without locks; make sure that no other " +
			"process uses the run", Destination: &o.how.NoLock},
		&cli.BoolFlag{Name: "tensorboard", Usage: "write loss, rates and accuracy to RUN/tensorboard too, for TensorBoard",
			Destination: &o.config.Machine.TensorBoard},
		&cli.BoolFlag{Name: "no-report", Usage: "do not write the report", Destination: &o.noReport},
	}
}

func runTrain(ctx context.Context, o trainOptions, out *term.Console) error {
	started := time.Now()
	if err := o.check(); err != nil {
		return err
	}
	run, done, err := o.reopen(out)
	if err != nil {
		return err
	}
	if done != nil {
		return o.finished(run, done, out)
	}
	if run == nil && o.config.Data.Name() == "" {
		return usagef("train needs DATA, a folder of photographs; `finetune demo` downloads some")
	}
	o.config.Version, o.config.Command = Version, os.Args
	summary, err := learner.Train(ctx, o.config,
		learner.TrainOptions{Dir: o.run, How: o.how, GoOn: run, NoReport: o.noReport, Started: started}, out)
	if err != nil {
		return err
	}
	if !o.noReport {
		defer out.Print("report     %s", filepath.Join(filepath.FromSlash(summary.Run), "report", "index.html"))
	}
	printSummary(out, summary)
	return out.Object(summary)
}

// check looks at the flags that say what to do with a run that is there.
func (o *trainOptions) check() error {
	if o.how.Resume && o.run == "" {
		return usagef("--resume needs --run DIR, the run to continue")
	}
	if o.config.Data.Job == "" {
		return nil
	}
	for _, f := range shell.Join(dataFlags(&o.config), augmentFlags(&o.config), bodyFlags(&o.config)) {
		if name := f.Names()[0]; name != "body" && o.set(name) {
			return usagef("--%s is about photographs, and the features of %s are computed; leave it out, or plan another job",
				name, o.config.Data.Job)
		}
	}
	return nil
}

func printSummary(out *term.Console, s *learner.Summary) {
	out.Print("")
	out.Print("accuracy   %.2f %% of %s (95 %% interval %.1f to %.1f), loss %.4f",
		100*s.Valid.Accuracy, plural.Count(s.ValidImages, "validation photograph"), 100*s.Valid.Interval[0],
		100*s.Valid.Interval[1], s.Valid.Loss)
	if a := s.Aside; a != nil {
		out.Print("final      %.2f %% of %s set aside, by which nothing was chosen (%.1f to %.1f), loss %.4f", 100*a.Accuracy,
			plural.Count(a.Images, "photograph"), 100*a.Interval[0], 100*a.Interval[1], a.Loss)
	}
	if c := s.Calibration; c != nil {
		out.Print("%s", calibrationLine(*c))
	}
	if s.Float32 != nil {
		out.Print("float32    %.2f %% (%.1f to %.1f), loss %.4f: the same training on float32 features; --body-precision "+
			"changes accuracy by %+.2f points", 100*s.Float32.Accuracy, 100*s.Float32.Interval[0], 100*s.Float32.Interval[1],
			s.Float32.Loss, 100*(s.Valid.Accuracy-s.Float32.Accuracy))
	}
	if s.TTA != nil {
		out.Print("with TTA   %.2f %% (%.1f to %.1f), loss %.4f", 100*s.TTA.Accuracy, 100*s.TTA.Interval[0],
			100*s.TTA.Interval[1], s.TTA.Loss)
	}
	if s.Ensemble != nil {
		out.Print("ensemble   %.2f %% (%.1f to %.1f), loss %.4f: the mean of the cycles' probabilities",
			100*s.Ensemble.Accuracy, 100*s.Ensemble.Interval[0], 100*s.Ensemble.Interval[1], s.Ensemble.Loss)
	}
	warnMajority(out, s.Majority, s.Valid.Accuracy, s.Valid.Interval)
	for _, f := range s.Findings {
		out.Print("%-10s %s", f.Kind, f.Text)
	}
	if len(s.Findings) > 0 {
		out.Print("           look at the data with `finetune audit DATA -o DIR`")
	}
	out.Print("time       %.1f s: %.1f s features, %.1f s training", s.Seconds.Total, s.Seconds.Precompute,
		s.Seconds.Train)
	out.Print("run        %s", s.Run)
}

// calibrationLine says what the temperature changed on the validation photographs.
func calibrationLine(c learner.Calibrated) string {
	from := plural.Count(c.HeldOut, "training photograph") + " left out"
	if c.Valid {
		from = "the validation photographs, for each fifth from the others"
	}
	text := fmt.Sprintf("calibrated temperature %.2f from %s: loss %.4f before it", c.Temperature, from, c.Raw.Loss)
	if c.ECE == nil {
		return text
	}
	return text + fmt.Sprintf(", calibration error %.3f, now %.3f (%.3f is chance)", *c.Raw.ECE, *c.ECE, *c.ByChance)
}

// mostlyOne is the share of one class from which an accuracy alone says little.
const mostlyOne = 0.8

// warnMajority warns where a classifier is no better than one that always gives the same answer.
func warnMajority(out *term.Console, m *learner.Majority, accuracy float64, interval [2]float64) {
	than := "no better"
	switch {
	case m == nil:
		return
	case m.Share == 1:
		out.Warn("all of these photographs are of the class %q: the accuracy says nothing about other classes", m.Class)
		return
	case accuracy <= m.Share:
	case m.Share >= mostlyOne && interval[0] <= m.Share:
		than = "hardly better"
	default:
		return
	}
	hint := "; is the body a trained network, and are photographs prepared as it expects?"
	if m.Share >= mostlyOne {
		hint = "; `finetune evaluate RUN` measures each class, and train --balance weights helps rare classes"
	}
	out.Warn("accuracy %.2f %% is %s than always predicting %q, which reaches %.2f %%%s", 100*accuracy, than, m.Class,
		100*m.Share, hint)
}
