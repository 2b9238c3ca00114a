package cli

import (
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

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
	var o artifactsOptions
	t := &o.config.Train
	return &cli.Command{
		Name: "artifacts", ArgsUsage: "BODY",
		Usage: "write the training graphs of a body: loss and gradients, evaluation, optimiser, checkpoint",
		Description: "`finetune train --unfreeze` runs such files; any program with any ONNX Runtime can run these.\nBODY " +
			"is what --body takes: a name or FILE.onnx.",
		Flags: join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "folder `DIR` to write", Required: true,
				Destination: &o.output},
			&cli.IntFlag{Name: "classes", Usage: "`N` classes of the head", Required: true, Destination: &o.classes},
			&cli.BoolFlag{Name: "multi", Usage: "any number of labels a photograph", Destination: &o.multi},
			&cli.BoolFlag{Name: "native", Usage: "use the kernels of this processor, as training does: faster, for this kind " +
				"of machine alone", Destination: &o.native},
			&cli.IntFlag{Name: "freeze-to", Usage: "the first `N` layer groups stay as they are", Destination: &t.FreezeTo},
			&cli.BoolFlag{Name: "bn-freeze", Usage: "the body's batch statistics stay as they are", Destination: &t.BNFreeze},
			&cli.StringFlag{Name: "optimiser", Aliases: []string{"optimizer"}, Usage: "`NAME` sgd or adamw", Value: "sgd",
				Destination: &t.Optimiser},
			&cli.StringFlag{Name: "hidden", Usage: "`WIDTHS` of the head's hidden layers", Value: defaults.Train.Hidden,
				Destination: &t.Hidden},
			&cli.StringFlag{Name: "dropout", Usage: "dropout `SHARES` of the head", Value: defaults.Train.Dropout,
				Destination: &t.Dropout},
			&cli.Uint64Flag{Name: "seed", Usage: "`SEED` of the head's weights", Destination: &t.Seed},
			&cli.IntFlag{Name: "size", Usage: "side in `PIXELS` (default: the body's own)", Destination: &o.config.Images.Size},
			&cli.StringFlag{Name: "device", Usage: "`DEVICE` the graphs are for: cpu or cuda", Value: "cpu",
				Destination: &o.config.Machine.Device},
		}, foreignFlags(&o.config), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("artifacts takes one BODY, a name or FILE.onnx")
			}
			o.config.Body.Name = c.Args().First()
			return runArtifacts(o, &console{Streams: s, quiet: o.quiet, json: o.json})
		},
	}
}

// onlyArtifacts refuses a folder whose files of those names came from elsewhere,
// as a run's checkpoint does.
func onlyArtifacts(dir string) error {
	for _, name := range []string{artifacts.TrainingFile, artifacts.EvalFile, artifacts.OptimizerFile,
		artifacts.CheckpointFile} {
		if err := beside(filepath.Join(dir, name),
			func(string) error { _, err := artifacts.ReadManifest(dir); return err }); err != nil {
			return err
		}
	}
	return nil
}

func runArtifacts(o artifactsOptions, out *console) error {
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
	out.print("%s: %s, %s, %s, %s", o.output, artifacts.TrainingFile, artifacts.EvalFile, artifacts.OptimizerFile,
		artifacts.CheckpointFile)
	out.print("groups     %s (%d tensors train); about %.2f GB and %.3f GB a photograph", strings.Join(names, ", "),
		len(m.Params), float64(m.Memory.Fixed)/1e9, float64(m.Memory.PerImage)/1e9)
	return out.object(m)
}
