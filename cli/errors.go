package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"finetune/internal/failure"
)

// finish prints err once and returns the exit code of its kind.
func finish(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	kind := failure.KindOf(err)
	if errors.Is(err, context.Canceled) && errors.Unwrap(err) == nil {
		fmt.Fprintln(w, "finetune: interrupted")
	} else {
		fmt.Fprintln(w, plain(fmt.Sprintf("finetune: %v", err)))
	}
	return int(kind)
}

// exitCode ends a command that has said everything itself.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func usagef(format string, args ...any) error {
	return failure.Usage(fmt.Errorf(format, args...))
}
