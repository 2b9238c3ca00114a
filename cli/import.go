package cli

import (
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/plural"
	"finetune/onnx/bodies"
)

func importCommand(s Streams) *cli.Command {
	var weights, body string
	var quiet, json bool
	return &cli.Command{
		Name: "import", Usage: "build a body from pretrained weights", ArgsUsage: "NAME",
		Description: "NAME is one of " + strings.Join(bodies.Names(), ", ") + ".",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "weights", Usage: "state dict `FILE`: .pth (zip or legacy) or .safetensors", Required: true,
				Destination: &weights},
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the body to `BODY.onnx`, and its description " +
				"to BODY.json beside it", Required: true, Destination: &body},
		}, outputFlags(&quiet, &json)),
		Action: func(c *cli.Context) (err error) {
			if c.NArg() != 1 {
				return usagef("import takes one NAME: %s", strings.Join(bodies.Names(), ", "))
			}
			out := term.New(s, quiet, json)
			if body, err = shell.Output(body); err != nil {
				return err
			}
			if err := shell.Beside(bodies.SpecPath(body),
				func(path string) error { _, err := bodies.ReadSpec(path); return err }); err != nil {
				return err
			}
			spec, err := bodies.Import(c.Args().First(), weights, body)
			if err != nil {
				return err
			}
			out.Print("%s: %s, digest %s, %s at %d px; use it with --body %s", body, spec.Name, spec.Digest,
				plural.Count(spec.Features(), "feature"), spec.Size, body)
			if spec.Prepared != "" {
				out.Print("photographs are prepared as %s says", spec.Prepared)
			}
			return out.Object(spec)
		},
	}
}
