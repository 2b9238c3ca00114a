package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/durable"
	"finetune/internal/plural"
	"finetune/learner"
	"finetune/onnx/weights"
	"finetune/plots"
)

type previewOptions struct {
	config        learner.Config
	output, photo string
	tensor        string
	count         int
	quiet, json   bool
}

func previewCommand(s Streams) *cli.Command {
	o := previewOptions{config: learner.DefaultConfig()}
	o.config.Images.Augment = "side-on"
	return &cli.Command{
		Name: "preview", Usage: "show one photograph as augmented training sees it", ArgsUsage: "DATA",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the picture to `FILE.png`",
				Value: "preview.png", Destination: &o.output},
			&cli.StringFlag{Name: "photo", Usage: "`PATH` of the photograph within DATA (default: the second validation " +
				"photograph)", Destination: &o.photo},
			&cli.PathFlag{Name: "tensor", Usage: "also write what the body gets as `FILE.safetensors`: \"images\", float32 " +
				"[count, 3, size, size], normalised", Destination: &o.tensor},
			&cli.IntFlag{Name: "count", Usage: "show `N` views", Value: 6, Destination: &o.count},
		}, augmentFlags(&o.config), dataFlags(&o.config), imageFlags(&o.config), machineFlags(&o.config),
			outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 || c.NArg() == 0 && o.config.Data.Labels == "" {
				return usagef("preview takes one DATA, a folder of photographs")
			}
			if o.count < 1 || o.count > 100 {
				return usagef("--count %d: must be from 1 to 100", o.count)
			}
			o.config.Data.Path = c.Args().First()
			return runPreview(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

func runPreview(ctx context.Context, o previewOptions, out *term.Console) (err error) {
	if o.output, err = shell.Output(o.output); err != nil {
		return err
	}
	l, err := learner.Open(ctx, o.config, out)
	if err != nil {
		return err
	}
	defer l.Close()
	images, x, it, err := l.Preview(o.photo, o.count)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("%s in %s, augmentation %s", it.Path, plural.Count(o.count, "view"), o.config.Images.Augment)
	figure, err := plots.Grid{Title: title, Images: images}.Draw(plots.Wide)
	if err != nil {
		return err
	}
	if err := figure.Write(o.output); err != nil {
		return err
	}
	if o.tensor != "" {
		if o.tensor, err = shell.Output(o.tensor); err != nil {
			return err
		}
		size := int64(l.Preprocess.Size)
		tensors := []weights.Tensor{{Name: "images", Shape: []int64{int64(o.count), 3, size, size}, Data: x}}
		if err := durable.Write(o.tensor, func(w io.Writer) error {
			return weights.WriteSafetensors(w, tensors, nil)
		}); err != nil {
			return err
		}
	}
	out.Print("%s: %s", o.output, title)
	return out.Object(map[string]any{"picture": o.output, "photo": it.Path, "count": o.count,
		"augment": o.config.Images.Augment})
}
