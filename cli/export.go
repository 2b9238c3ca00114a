package cli

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/cpu"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/plural"
	"finetune/internal/remote"
	"finetune/internal/store"
	"finetune/learner"
	"finetune/onnx/weights"
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
		Name: "export", Usage: "write a RUN as one self-contained ONNX file", ArgsUsage: "RUN",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the model to `FILE.onnx`", Value: "model.onnx",
				Destination: &o.export.Output},
			&cli.StringFlag{Name: "precision", Usage: "number `TYPE` of the model: float32, float16 (half the size, for GPUs; " +
				"slow on CPUs without float16 arithmetic) or int8 (calibrated on training photographs; fast on CPUs with VNNI) " +
				"(default: the --body-precision of the run)", Destination: &o.export.Precision},
			&cli.BoolFlag{Name: "uint8", Usage: "take photographs of any size as uint8 [batch, height, width, 3]; the file " +
				"itself scales and crops them", Destination: &o.export.Whole},
			&cli.IntFlag{Name: "golden", Usage: "also write `N` inputs and their probabilities to golden.safetensors",
				Destination: &o.export.Golden},
			rawFlag(&o.export.Raw),
		}, inferenceFlags(&o.machine), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("export takes one RUN, a folder that `finetune train` made")
			}
			o.run = c.Args().First()
			return runExport(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

// isGolden knows the file of --golden by its metadata.
func isGolden(path string) error {
	_, meta, err := weights.ReadSafetensors(path)
	if err == nil && meta["sha256"] == "" {
		err = errors.New("it names no model")
	}
	return err
}

func runExport(ctx context.Context, o exportOptions, out *term.Console) error {
	place := o.export.Output
	var err error
	if o.export.Output, err = shell.Outgoing(place); err != nil {
		return err
	}
	if filepath.Ext(o.export.Output) != ".onnx" {
		return usagef("export: %s: the name must end in .onnx", place)
	}
	if golden := learner.GoldenFile(o.export.Output); o.export.Golden > 0 {
		if err := shell.Beside(golden, isGolden); err != nil {
			return err
		}
	}
	r, err := learner.Export(ctx, o.run, o.machine, o.export, out)
	if err != nil {
		return err
	}
	if store.IsURL(place) {
		if err := send(ctx, r, place); err != nil {
			return err
		}
	}
	out.Print("file       %s, %s, %s, digest %.12s", r.Output, r.Precision, term.Size(r.Bytes), r.Digest)
	out.Print("check      %s: probabilities differ by at most %.2g, on average %.2g; %s",
		plural.Count(r.Photographs, "validation photograph"), r.Largest, r.Mean,
		plural.Of(r.Flips, "prediction differs", "predictions differ"))
	out.Print("accuracy   run %.2f %%, file %.2f %%", 100*r.Accuracy.Run, 100*r.Accuracy.File)
	if r.Speed.File > 0 {
		out.Print("speed      run %.1f images/s, file %.1f images/s (%.2f times)", r.Speed.Run, r.Speed.File,
			r.Speed.File/r.Speed.Run)
	}
	if r.Precision == "int8" && runtime.GOARCH == "amd64" && !cpu.X86.HasAVX512VNNI && !cpu.X86.HasAVXVNNI {
		out.Say("this CPU has no VNNI instructions: the int8 file is smaller, but hardly faster here")
	}
	if r.Golden != "" {
		out.Print("golden     %s", r.Golden)
	}
	return out.Object(r)
}

// send uploads what was exported, the file last.
func send(ctx context.Context, r *learner.ExportReport, place string) error {
	if r.Golden != "" {
		golden := remote.Sibling(place, learner.GoldenFile)
		if err := remote.Send(ctx, r.Golden, golden); err != nil {
			return err
		}
		r.Golden = golden
	}
	err := remote.Send(ctx, r.Output, place)
	r.Output = place
	return err
}
