package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/fetch"
	"finetune/onnx/bodies"
)

func fetchCommand(s Streams) *cli.Command {
	var o fetch.Options
	var quiet, json bool
	return &cli.Command{
		Name: "fetch", Usage: "download ONNX Runtime, pretrained weights or photographs", ArgsUsage: "[NAME]",
		Description: "NAME is one of " + strings.Join(fetch.Names(), ", ") + ".\nWithout NAME the command lists them. It " +
			"stores files in FINETUNE_HOME and checks their SHA-256.\nIf a download is interrupted, run it again to continue.",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "from", Usage: "read `FILE` instead of downloading; its SHA-256 must be the known one",
				Destination: &o.From},
		}, outputFlags(&quiet, &json)),
		Action: func(c *cli.Context) error {
			out := term.New(s, quiet, json)
			switch {
			case c.NArg() > 1, c.NArg() == 0 && o.From != "":
				return usagef("fetch takes one NAME: %s", strings.Join(fetch.Names(), ", "))
			case c.NArg() == 0:
				return runFetchList(out)
			}
			return runFetch(c.Context, c.Args().First(), o, out)
		},
	}
}

type fetchResult struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	SHA256  string `json:"sha256"`
	Fetched bool   `json:"fetched"` // false: it was there and intact
}

func runFetch(ctx context.Context, name string, o fetch.Options, out *term.Console) error {
	report, done := out.Progress("fetching "+name, "MB")
	o.Log = out.Say
	o.Progress = func(n, total int64) { report(int(n>>20), int(max(total, n)>>20)) }
	got, err := fetch.Get(ctx, name, o)
	done()
	if err != nil {
		return err
	}
	state := "already there, intact"
	if got.Fetched {
		state = "fetched"
	}
	out.Print("%s  sha256 %s  %s", got.Path, got.SHA256, state)
	if slices.Contains(bodies.Names(), name) { // built now, so that the folder may only be read afterwards
		body, err := bodies.Resolve(name, bodies.Override{})
		if err != nil {
			return err
		}
		out.Say("body built from it: %s", body.Path)
	}
	return out.Object(fetchResult(got))
}

type fetchable struct {
	Name    string `json:"name"`
	About   string `json:"about"`
	Licence string `json:"licence"`
	MB      int    `json:"megabytes"`
	State   string `json:"state"` // installed, absent or damaged
}

func runFetchList(out *term.Console) error {
	var list []fetchable
	for _, it := range fetch.Items() {
		f := fetchable{it.Name, it.About, it.Licence, it.MB, "installed"}
		_, _, err := fetch.Installed(it.Name)
		switch {
		case errors.Is(err, os.ErrNotExist):
			f.State = "absent"
		case err != nil:
			f.State = "damaged"
			out.Warn("%v", err)
		}
		list = append(list, f)
	}
	if !out.JSON {
		w := tabwriter.NewWriter(out.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "name\tstate\tto fetch\tlicence\twhat it is")
		for _, f := range list {
			fmt.Fprintf(w, "%s\t%s\t%d MB\t%s\t%s\n", f.Name, f.State, f.MB, f.Licence, f.About)
		}
		w.Flush()
	}
	return out.Object(list)
}
