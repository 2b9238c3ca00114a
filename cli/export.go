package cli

import (
	"context"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"finetune/learner"
)

type exportOptions struct {
	run         string
	export      learner.ExportOptions
	machine     learner.Machine
	quiet, json bool
}

func exportCommand(s Streams) *cli.Command {
	var o exportOptions
	return &cli.Command{
		Name: "export", Usage: "write a RUN as one ONNX file that needs nothing else", ArgsUsage: "RUN",
		Flags: join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "model `FILE.onnx` to write", Value: "model.onnx", Destination: &o.export.Output},
		}, inferenceFlags(&o.machine), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("export takes one RUN, a folder that `finetune train` made")
			}
			o.run = c.Args().First()
			return runExport(c.Context, o, &console{Streams: s, quiet: o.quiet, json: o.json})
		},
	}
}

func runExport(ctx context.Context, o exportOptions, out *console) error {
	if filepath.Ext(o.export.Output) != ".onnx" {
		return usagef("export: %s: the name must end in .onnx", o.export.Output)
	}
	c, err := learner.OpenClassifier(o.run, o.machine, out)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Export(ctx, o.export, out)
}
