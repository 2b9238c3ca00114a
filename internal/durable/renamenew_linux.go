package durable

import (
	"errors"

	"golang.org/x/sys/unix"
)

// renameNew is a rename that fails where there is something at b. Errors wrap
// errors.ErrUnsupported where the file system cannot. Tests replace it.
var renameNew = func(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_NOREPLACE)
	if unsupported(err) {
		return errors.Join(errors.ErrUnsupported, err)
	}
	return err
}
