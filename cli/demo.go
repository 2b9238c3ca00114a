package cli

import (
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/demo"
	"finetune/learner"
)

func demoCommand(s Streams) *cli.Command {
	o := trainOptions{config: learner.DefaultConfig()}
	var from string
	return &cli.Command{
		Name: "demo", Usage: "train on 2,624 photographs of solar cells: is this cell defective?",
		Description: "Downloads the photographs once (91 MB, CC BY-NC-SA 4.0), then runs `finetune train` on them. " +
			"It takes the flags of train.",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "from", Usage: "read the archive from `FILE` instead of downloading it", Destination: &from},
		}, runFlags(&o),
			trainingFlags(&o.config), augmentFlags(&o.config), dataFlags(&o.config), bodyFlags(&o.config),
			machineFlags(&o.config),
			outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 || o.config.Data.Labels != "" {
				return usagef("demo takes no DATA; for your own photographs use `finetune train DATA`")
			}
			out := term.New(s, o.quiet, o.json)
			dir, err := demo.Prepare(c.Context, demo.Options{From: from, Log: out.Say})
			if err != nil {
				return err
			}
			for line := range strings.Lines(strings.TrimSpace(demo.Notice)) {
				out.Say("%s", strings.TrimSuffix(line, "\n"))
			}
			o.config.Data.Path, o.set = dir, c.IsSet
			return runTrain(c.Context, o, out)
		},
	}
}
