// Package cli is the command line: one file a command, each reading downwards
// as options, flags, check, run.
package cli

import (
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/internal/home"
)

// Version is set when the binary is built.
var Version = "dev"

// Main runs one command and returns its exit code: 0, 1 failed, 2 usage, 3 bad
// data, 130 interrupted. The first Ctrl-C or SIGTERM cancels the work, which
// then saves what it has; a second one ends the process at once.
func Main(ctx context.Context, args []string, s Streams) int {
	ctx, stop := shell.Interruptible(ctx, s.Err)
	defer stop()
	out := &term.Checked{Writer: s.Out}
	s.Out = out
	err := failure.Guard(func() error {
		app := newApp(s)
		return inFlags(shell.Required(app.RunContext(ctx, shell.Arrange(app, args))))
	})
	if err == nil {
		err = out.Failed()
	}
	return shell.Finish(s.Err, err)
}

func newApp(s Streams) *cli.App {
	app := &cli.App{
		Name:  "finetune",
		Usage: "train an image classifier on folders of photographs",
		Description: "A pretrained ONNX network, the body, computes the features of each photograph once. A " +
			"small\nclassifier, the head, trains on the features in seconds.\nStart with `finetune demo`, or " +
			"`finetune train FOLDER`.\n\n" + exits,
		Version:                Version,
		Writer:                 s.Out,
		ErrWriter:              s.Err,
		HideHelpCommand:        true,
		UseShortOptionHandling: false,
		Suggest:                true,
		ExitErrHandler:         func(*cli.Context, error) {},
		OnUsageError:           shell.UsageError,
		Before:                 needsHome,
		Commands:               commands(s),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("no command %q; `finetune --help` lists them", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		document(c)
		c.OnUsageError, c.Before = shell.UsageError, limits.CheckFlags
		if c.Name != "serve" { // which ends its requests by itself
			c.Before = func(c *cli.Context) error { shell.EndRuns(c.Context); return limits.CheckFlags(c) }
		}
		c.HideHelpCommand = true
		for _, sub := range c.Subcommands {
			sub.OnUsageError, sub.Before = shell.UsageError, limits.CheckFlags
			sub.HideHelpCommand = true
		}
	}
	return app
}

// homeless commands neither read nor write the shared folder.
var homeless = []string{"", "merge", "report", "compare", "runs", "inspect", "status"}

// needsHome refuses to guess where the shared folder is.
func needsHome(c *cli.Context) error {
	for _, a := range c.Args().Slice() {
		if slices.Contains([]string{"-h", "--help"}, a) {
			return nil
		}
	}
	if slices.Contains(homeless, c.Args().First()) {
		return nil
	}
	return home.Check()
}
