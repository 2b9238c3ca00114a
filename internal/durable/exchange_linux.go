package durable

import (
	"errors"

	"golang.org/x/sys/unix"
)

// exchange gives two files or folders each other's name in one step. Errors
// wrap errors.ErrUnsupported where the file system cannot.
var exchange = func(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if unsupported(err) {
		return errors.Join(errors.ErrUnsupported, err)
	}
	return err
}
