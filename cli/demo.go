package cli

import (
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/internal/demo"
)

func demoCommand(s Streams) *cli.Command {
	var o trainOptions
	var from string
	return &cli.Command{
		Name: "demo", Usage: "train on 2,624 photographs of solar cells: is this cell defective?",
		Description: "Downloads the photographs once (91 MB, CC BY-NC-SA 4.0), then runs `finetune train` on them. " +
			"It takes the flags of train.",
		Flags: join([]cli.Flag{
			&cli.PathFlag{Name: "from", Usage: "read the archive from `FILE` instead of downloading it", Destination: &from},
		}, runFlags(&o),
			trainingFlags(&o.config), augmentFlags(&o.config, "none"), dataFlags(&o.config), bodyFlags(&o.config),
			machineFlags(&o.config),
			outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 || o.config.Data.Labels != "" {
				return usagef("demo brings its own DATA; `finetune train DATA` takes yours")
			}
			out := &console{Streams: s, quiet: o.quiet, json: o.json}
			dir, err := demo.Prepare(c.Context, demo.Options{From: from, Log: out.say})
			if err != nil {
				return err
			}
			out.say("%s", strings.TrimSpace(demo.Notice))
			o.config.Data.Path, o.set = dir, c.IsSet
			return runTrain(c.Context, o, out)
		},
	}
}
