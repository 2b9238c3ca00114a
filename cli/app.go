// Package cli is the command line: one file a command, each reading downwards
// as options, flags, check, run.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/internal/failure"
	"finetune/internal/home"
	"finetune/onnx"
)

// Version is set when the binary is built.
var Version = "dev"

// Main runs one command and returns its exit code: 0, 1 failed, 2 usage, 3 bad
// data, 130 interrupted. The first Ctrl-C or SIGTERM cancels the work, which
// then saves what it has; a second one ends the process at once.
func Main(ctx context.Context, args []string, s Streams) int {
	ctx, stop := interruptible(ctx, s.Err)
	defer stop()
	out := &checked{Writer: s.Out}
	s.Out = out
	err := failure.Guard(func() error {
		app := newApp(s)
		return required(app.RunContext(ctx, arrange(app, args)))
	})
	if err == nil {
		err = out.failed()
	}
	return finish(s.Err, err)
}

// required makes urfave/cli's word for missing flags, whose type is its own, a usage error.
func required(err error) error {
	if err != nil && strings.HasPrefix(err.Error(), "Required flag") {
		return usagef("%w; --help lists them", err)
	}
	return err
}

func interruptible(ctx context.Context, w io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first, ok := <-signals
		if !ok {
			return
		}
		fmt.Fprintln(w, "\nstopping; once more to stop at once")
		cancel(signalled{first})
		if _, ok := <-signals; ok {
			os.Exit(int(failure.Interrupted))
		}
	}()
	return ctx, func() { signal.Stop(signals); close(signals); cancel(nil) }
}

// patience is how long a network may go on computing after a signal.
const patience = 5 * time.Second

// endRuns stops networks that compute on, as one that loops without end does, some
// time after a signal has cancelled the work.
func endRuns(ctx context.Context) {
	context.AfterFunc(ctx, func() {
		if !errors.As(context.Cause(ctx), new(signalled)) {
			return
		}
		for time.Sleep(patience); ; time.Sleep(patience / 5) {
			onnx.Terminate()
		}
	})
}

// signalled is the cause of a cancelled context: the signal that came.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return "interrupted by " + s.String() }

// Is makes it a context.Canceled like any other.
func (s signalled) Is(target error) bool { return target == context.Canceled }

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
		OnUsageError:           usageError,
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
		c.OnUsageError, c.Before = usageError, checkFlags
		if c.Name != "serve" { // which ends its requests by itself
			c.Before = func(c *cli.Context) error { endRuns(c.Context); return checkFlags(c) }
		}
		c.HideHelpCommand = true
		for _, sub := range c.Subcommands {
			sub.OnUsageError, sub.Before = usageError, checkFlags
			sub.HideHelpCommand = true
		}
	}
	return app
}

// homeless commands neither read nor write the shared folder.
var homeless = []string{"", "merge", "report", "inspect"}

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

func usageError(c *cli.Context, err error, _ bool) error {
	return usagef("%s: %w; `finetune %s --help` lists the flags", c.Command.Name, err, c.Command.Name)
}
