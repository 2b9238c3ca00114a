//go:build unix

package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// noLinks is a file system without hard links, until the test ends.
func noLinks(t *testing.T, cause error) {
	t.Helper()
	old := link
	link = func(a, b string) error { return &os.LinkError{Op: "link", Old: a, New: b, Err: cause} }
	t.Cleanup(func() { link = old })
}

func TestWriteNewWithoutHardLinks(t *testing.T) {
	for _, cause := range []error{syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS, syscall.EMLINK} {
		noLinks(t, cause)
		dir := t.TempDir()
		if won := race(t, filepath.Join(dir, "part")); won != 1 || names(t, dir) != "part" {
			t.Errorf("%v: %d won, left are %s", cause, won, names(t, dir))
		}
	}
}

func TestWriteNewWithoutARenameThatRefuses(t *testing.T) {
	noLinks(t, syscall.EPERM)
	old := renameNew
	renameNew = func(string, string) error { return errors.ErrUnsupported }
	t.Cleanup(func() { renameNew = old })
	dir := t.TempDir()
	if won := race(t, filepath.Join(dir, "part")); won != 1 || names(t, dir) != "part" {
		t.Errorf("%d won, left are %s", won, names(t, dir))
	}
}

func TestWriteNewTellsADiskThatFails(t *testing.T) {
	noLinks(t, syscall.EIO)
	dir := t.TempDir()
	err := WriteNew(filepath.Join(dir, "part"), func(io.Writer) error { return nil })
	if !errors.Is(err, syscall.EIO) || names(t, dir) != "" {
		t.Errorf("%v, left are %s", err, names(t, dir))
	}
}

// NFS may lose the answer to the call that made the link, and refuse the second one.
func TestWriteNewWhoseAnswerIsLost(t *testing.T) {
	old := link
	link = func(a, b string) error {
		if err := old(a, b); err != nil {
			return err
		}
		return fs.ErrExist
	}
	t.Cleanup(func() { link = old })
	dir := t.TempDir()
	if won := race(t, filepath.Join(dir, "part")); won != 1 || names(t, dir) != "part" {
		t.Errorf("%d won, left are %s", won, names(t, dir))
	}
}
