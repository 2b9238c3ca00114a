package cli

import (
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/plural"
	"finetune/learner"
	"finetune/onnx/artifacts"
)

type artifactsOptions struct {
	config      learner.Config
	classes     int
	multi       bool
	native      bool
	output      string
	quiet, json bool
}

func artifactsCommand(s Streams) *cli.Command {
	o := artifactsOptions{config: learner.DefaultConfig()}
	t := &o.config.Train
	return &cli.Command{
		Name: "artifacts", ArgsUsage: "BODY",
		Usage: "write the training graphs of a body: loss and gradients, evaluation, optimiser, checkpoint",
		Description: "`finetune train --unfreeze` runs such files. Other programs can run these with any ONNX " +
			"Runtime.\nBODY is a name or FILE.onnx, as for --body.",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the files to folder `DIR`", Required: true,
				Destination: &o.output},
			&cli.IntFlag{Name: "classes", Usage: "number `N` of classes", Required: true, Destination: &o.classes},
			&cli.BoolFlag{Name: "multi", Usage: "multi-label: a photograph can have any number of labels",
				Destination: &o.multi},
			&cli.BoolFlag{Name: "native", Usage: "use the memory layout of ONNX Runtime's kernels for this CPU: faster, " +
				"but not portable", Destination: &o.native},
			&cli.IntFlag{Name: "freeze-to", Usage: "keep the first `N` layer groups frozen", Destination: &t.FreezeTo},
			&cli.BoolFlag{Name: "bn-freeze", Usage: "keep the body's batch statistics frozen", Destination: &t.BNFreeze},
			&cli.StringFlag{Name: "optimiser", Aliases: []string{"optimizer"}, Usage: "`NAME` of the optimiser: sgd or adamw",
				Value: string(t.Optimiser), Destination: (*string)(&t.Optimiser)},
			shell.TextFlag("hidden", "`WIDTHS` of the head's hidden layers, separated by commas, or none", &t.Hidden),
			shell.TextFlag("dropout", "dropout `PROBABILITIES` of the head, one per linear layer", &t.Dropout),
			&cli.Uint64Flag{Name: "seed", Usage: "`SEED` of the head's initial weights", Destination: &t.Seed},
			&cli.IntFlag{Name: "size", Usage: "side of the input in `PIXELS` (default: the body's own)",
				Destination: &o.config.Images.Size},
			&cli.StringFlag{Name: "device", Usage: "`DEVICE` that will run the graphs: cpu or cuda", Value: "cpu",
				Destination: &o.config.Machine.Device},
		}, foreignFlags(&o.config), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("artifacts takes one BODY, a name or FILE.onnx")
			}
			o.config.Body.Name = c.Args().First()
			return runArtifacts(o, term.New(s, o.quiet, o.json))
		},
	}
}

// onlyArtifacts refuses a folder whose files of those names came from elsewhere,
// as a run's checkpoint does.
func onlyArtifacts(dir string) error {
	for _, name := range []string{artifacts.TrainingFile, artifacts.EvalFile, artifacts.OptimizerFile,
		artifacts.CheckpointFile} {
		if err := shell.Beside(filepath.Join(dir, name),
			func(string) error { _, err := artifacts.ReadManifest(dir); return err }); err != nil {
			return err
		}
	}
	return nil
}

func runArtifacts(o artifactsOptions, out *term.Console) error {
	if err := onlyArtifacts(o.output); err != nil {
		return err
	}
	m, err := learner.WriteArtifacts(o.output, o.config, o.classes, o.multi, !o.native, out)
	if err != nil {
		return err
	}
	names := make([]string, len(m.Groups))
	for i, g := range m.Groups {
		names[i] = g.Name
	}
	out.Print("%s: %s, %s, %s, %s", o.output, artifacts.TrainingFile, artifacts.EvalFile, artifacts.OptimizerFile,
		artifacts.CheckpointFile)
	out.Print("groups     %s (%s train); about %.2f GB and %.3f GB a photograph", strings.Join(names, ", "),
		plural.Count(len(m.Params), "tensor"), float64(m.Memory.Fixed)/1e9, float64(m.Memory.PerImage)/1e9)
	return out.Object(m)
}
