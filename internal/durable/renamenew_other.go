//go:build unix && !linux && !darwin

package durable

import "errors"

// renameNew is Linux's and macOS's.
var renameNew = func(a, b string) error { return errors.ErrUnsupported }
