package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/activations"
	"finetune/cli/term"
	"finetune/internal/home"
	"finetune/internal/plural"
)

func cacheCommand(s Streams) *cli.Command {
	var dir, keep string
	var older time.Duration
	var quiet, json bool
	where := &cli.PathFlag{Name: "cache", Usage: "`DIR` of the feature cache (default: cache in FINETUNE_HOME)",
		Destination: &dir}
	out := func() *term.Console {
		if dir == "" {
			dir = home.Path("cache")
		}
		return term.New(s, quiet, json)
	}
	return &cli.Command{
		Name: "cache", Usage: "list or remove cached features",
		Subcommands: []*cli.Command{
			{
				Name: "ls", Usage: "list the feature caches, least recently used first",
				Flags:  append(outputFlags(&quiet, &json), where),
				Action: func(*cli.Context) error { return runCacheList(out(), dir) },
			},
			{
				Name: "prune", Usage: "remove the least recently used feature caches",
				Flags: append(outputFlags(&quiet, &json), where,
					&cli.StringFlag{Name: "keep", Usage: "keep at most this `SIZE`, such as 500MB or 2GB (0 removes all)",
						Destination: &keep},
					&cli.DurationFlag{Name: "older-than", Usage: "remove what was not used for `DURATION`, such as 720h",
						Destination: &older}),
				Action: func(c *cli.Context) error { return runCachePrune(out(), dir, keep, older) },
			},
		},
	}
}

func runCacheList(out *term.Console, dir string) error {
	list, err := activations.List(dir)
	if err != nil {
		return err
	}
	if !out.JSON {
		w := tabwriter.NewWriter(out.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "last used\trows\tsize\tpixels\tbody\tview")
		for _, e := range list {
			fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%.12s\t%s\n", e.LastUsed.Format(time.DateTime), e.Rows, term.Size(e.Bytes),
				e.Key.Size, e.Key.Body, term.Line(e.Key.View))
		}
		w.Flush()
	}
	return out.Object(list)
}

func runCachePrune(out *term.Console, dir, keep string, older time.Duration) error {
	if keep == "" && older == 0 {
		return usagef("cache prune needs --keep SIZE or --older-than DURATION")
	}
	o := activations.PruneOptions{OlderThan: older}
	if keep != "" {
		n, err := term.ParseSize(keep)
		if err != nil {
			return usagef("--keep %w", err)
		}
		if o.KeepBytes = n; n == 0 {
			o.OlderThan = 1 // nanosecond: everything is older
		}
	}
	removed, err := activations.Prune(dir, o)
	if err != nil {
		return err
	}
	var total int64
	for _, e := range removed {
		total += e.Bytes
	}
	out.Print("removed %s from %s, %s", plural.Count(len(removed), "cache"), dir, term.Size(total))
	return out.Object(removed)
}
