package cli

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/activations"
	"finetune/internal/home"
)

func cacheCommand(s Streams) *cli.Command {
	var dir, keep string
	var older time.Duration
	var quiet, json bool
	where := &cli.PathFlag{Name: "cache", Usage: "`DIR` of the feature cache (default: cache in FINETUNE_HOME)",
		Destination: &dir}
	out := func() *console {
		if dir == "" {
			dir = home.Path("cache")
		}
		return &console{Streams: s, quiet: quiet, json: json}
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

func runCacheList(out *console, dir string) error {
	list, err := activations.List(dir)
	if err != nil {
		return err
	}
	if !out.json {
		w := tabwriter.NewWriter(out.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "last used\trows\tsize\tpixels\tbody\tview")
		for _, e := range list {
			fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%.12s\t%s\n", e.LastUsed.Format(time.DateTime), e.Rows, size(e.Bytes), e.Key.Size,
				e.Key.Body, e.Key.View)
		}
		w.Flush()
	}
	return out.object(list)
}

func runCachePrune(out *console, dir, keep string, older time.Duration) error {
	if keep == "" && older == 0 {
		return usagef("cache prune needs --keep SIZE or --older-than DURATION")
	}
	o := activations.PruneOptions{OlderThan: older}
	if keep != "" {
		n, err := parseSize(keep)
		if err != nil {
			return err
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
	out.print("removed %d of the caches in %s, %s", len(removed), dir, size(total))
	return out.object(removed)
}

func size(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

func parseSize(text string) (int64, error) {
	units := []struct {
		suffix string
		bytes  float64
	}{{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}, {"", 1}}
	upper := strings.ToUpper(strings.ReplaceAll(text, " ", ""))
	for _, u := range units {
		if number, ok := strings.CutSuffix(upper, u.suffix); ok {
			if v, err := strconv.ParseFloat(number, 64); err == nil && v >= 0 {
				return int64(v * u.bytes), nil
			}
		}
	}
	return 0, usagef("--keep %s: write a size such as 500MB or 2GB", text)
}
