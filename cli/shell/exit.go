package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/term"
	"finetune/internal/failure"
)

// Finish prints err once and returns the exit code of its kind.
func Finish(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	var code ExitCode
	if errors.As(err, &code) {
		return int(code)
	}
	kind := failure.KindOf(err)
	if errors.Is(err, context.Canceled) && errors.Unwrap(err) == nil {
		fmt.Fprintln(w, "finetune: interrupted")
	} else {
		fmt.Fprintln(w, term.Plain("finetune: "+term.ErrorText(err)))
	}
	return int(kind)
}

// ExitCode ends a command that has said everything itself.
type ExitCode int

func (e ExitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Required makes urfave/cli's word for missing flags, whose type is its own, a usage error.
func Required(err error) error {
	if err != nil && strings.HasPrefix(err.Error(), "Required flag") {
		return failure.Usagef("%w; --help lists them", err)
	}
	return err
}

// UsageError says of a flag that cannot be read where the flags are listed.
func UsageError(c *cli.Context, err error, _ bool) error {
	return failure.Usagef("%s: %w; `finetune %s --help` lists the flags", c.Command.Name, err, c.Command.Name)
}
