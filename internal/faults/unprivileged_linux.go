package faults

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Unprivileged runs do with the permissions of a user who owns none of root's
// files, so that a file's mode counts where tests are run by root. do must stay
// on its goroutine, and must not meet folders on the way that are root's alone:
// let it use paths relative to the working directory.
func Unprivileged(do func() error) error {
	if os.Geteuid() != 0 {
		return do()
	}
	const nobody = 65534
	runtime.LockOSThread() // the permissions are the thread's
	defer runtime.UnlockOSThread()
	before, err := unix.SetfsuidRetUid(nobody)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Setfsuid(before) }()
	return do()
}
