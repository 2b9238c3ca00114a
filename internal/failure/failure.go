// Package failure gives an error a kind, which the command line turns into an exit code.
//
// A kind survives wrapping with %w; the outermost mark wins.
package failure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Kind says what an error means to the person at the command line.
type Kind int

// Kinds and their exit codes (README.md, Commands).
const (
	Other       Kind = 1   // something failed
	UsageKind   Kind = 2   // a flag or an argument is wrong
	DataKind    Kind = 3   // the user's data cannot be used
	Interrupted Kind = 130 // Ctrl-C or SIGTERM; the work can be resumed
)

type marked struct {
	kind Kind
	err  error
}

func (m *marked) Error() string { return m.err.Error() }
func (m *marked) Unwrap() error { return m.err }

// Usage marks err as a wrong flag or argument. Usage(nil) is nil.
func Usage(err error) error { return mark(UsageKind, err) }

// Usagef is a wrong flag or argument, said as fmt.Errorf does.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// Data marks err as bad user data. Data(nil) is nil, and an error of the machine
// (System) stays one: the data may be fine.
func Data(err error) error {
	if System(err) {
		return err
	}
	return mark(DataKind, err)
}

func mark(k Kind, err error) error {
	if err == nil {
		return nil
	}
	return &marked{k, err}
}

// KindOf reports the kind of err: the outermost mark, Interrupted for a
// cancelled context, Other for everything else.
func KindOf(err error) Kind {
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	var m *marked
	if errors.As(err, &m) {
		return m.kind
	}
	return Other
}

// Reason is err without the operation and the path that errors of files begin with,
// for messages that have named the file.
func Reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
