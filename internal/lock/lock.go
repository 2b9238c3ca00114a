// Package lock keeps a second process out of what one process works on.
package lock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// ErrBusy says that another process holds the lock.
var ErrBusy = errors.New("another process holds the lock")

// Lock is held from Take to Close, or until the process ends, however it ends.
type Lock struct{ file *flock.Flock }

// Take locks the file at path, which it creates for everybody whom the umask
// lets write. It waits a moment: a process that was killed holds its locks until
// its memory is freed, and the next one may start before that. what names the
// thing that the lock protects. On a file system without locks it fails, or with
// without goes on unlocked.
//
// Errors: ErrBusy, or one that names path and says how to go on.
func Take(path, what string, without bool) (*Lock, error) {
	if err := Plain(path); err != nil {
		return nil, err
	}
	for end := time.Now().Add(moment); ; {
		l := flock.New(path, flock.SetPermissions(0o666))
		ok, err := tryLock(l)
		switch {
		case err != nil && without && Unsupported(err):
			return &Lock{}, nil
		case err != nil:
			return nil, Explain(err, path, what)
		case ok && current(l):
			return &Lock{l}, nil
		}
		_ = l.Close() // of a file that was removed or replaced while we took its lock
		if time.Now().After(end) {
			return nil, ErrBusy
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Plain refuses to lock what is no plain file: through a link the file would be
// made elsewhere, and a pipe would be waited for without end. None is fine.
func Plain(path string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("lock %s: it is no plain file; remove it", path)
	}
	return nil
}

// tryLock is flock's own; tests put a file system without locks in its place.
var tryLock = (*flock.Flock).TryLock

// moment is how long a killed process may take to go.
const moment = 3 * time.Second

// current reports whether the locked file is still the one at its path.
func current(l *flock.Flock) bool {
	held, err := l.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(l.Path())
	return err == nil && os.SameFile(held, now)
}

// Close releases the lock. Twice is fine, and so is nil.
func (l *Lock) Close() error {
	if l == nil || l.file == nil {
		return nil
	}
	return l.file.Close()
}

// Unsupported reports whether err is that of a file system without locks, as
// NFS without its lock service and Lustre without -o flock are.
func Unsupported(err error) bool {
	return errors.Is(err, syscall.ENOLCK) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOTSUP) ||
		errors.Is(err, errors.ErrUnsupported)
}

// Explain says what a lock that could not be taken is for and how to go on.
func Explain(err error, path, what string) error {
	switch {
	case Unsupported(err):
		return fmt.Errorf("lock %s: %w: this file system has no file locks; the lock keeps two processes from writing %s "+
			"at once; use a folder on another disk, or mount this one with locks", path, err, what)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("lock %s: %w; it keeps two processes from writing %s at once; have its owner run `chmod g+rw` "+
			"on it, or delete it while nobody uses %s", path, err, what, what)
	}
	return fmt.Errorf("lock %s: %w", path, err)
}
