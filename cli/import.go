package cli

import (
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/onnx/bodies"
)

func importCommand(s Streams) *cli.Command {
	var weights, output string
	var quiet, json bool
	return &cli.Command{
		Name: "import", Usage: "build a body from trained weights: NAME is one of " + strings.Join(bodies.Names(), ", "), ArgsUsage: "NAME",
		Flags: join([]cli.Flag{
			&cli.PathFlag{Name: "weights", Usage: "state dict `FILE`: .pth (zip or legacy) or .safetensors", Required: true, Destination: &weights},
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "`BODY.onnx` to write, with BODY.json beside it", Required: true, Destination: &output},
		}, outputFlags(&quiet, &json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("import takes one NAME: %s", strings.Join(bodies.Names(), ", "))
			}
			out := &console{Streams: s, quiet: quiet, json: json}
			spec, err := bodies.Import(c.Args().First(), weights, output)
			if err != nil {
				return err
			}
			out.print("%s: %s, digest %s, %d features at %d px; use it with --body %s", output, spec.Name, spec.Digest, spec.Features(), spec.Size, output)
			return out.object(spec)
		},
	}
}
