//go:build unix

package durable

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

func newPending(path string) (pending, error) {
	return renameio.NewPendingFile(path, renameio.WithPermissions(0o644), renameio.WithTempDir(filepath.Dir(path)))
}

func replace(from, to string) error {
	err := os.Rename(from, to)
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}

func removeAll(path string) error { return os.RemoveAll(path) }

// allowed refuses what cannot be a file's name; here the system says so itself.
func allowed(string) error { return nil }

// flushFolder makes the names in dir outlive a loss of power.
func flushFolder(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, os.ErrPermission) { // a folder to write into but not to list
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}

// freeBytes is what this user may still write to the file system of dir.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
