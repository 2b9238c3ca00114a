package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Target is the file that an output called path is to replace: path itself or,
// where that is a symbolic link, the file it leads to, which need not exist.
//
// Errors: a folder, a pipe or a device, which a file must not take the place of.
func Target(path string) (string, error) {
	at := path
	for range 41 { // Linux follows 40 links
		info, err := os.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return at, nil
		case err != nil:
			return "", err
		case info.Mode().IsRegular():
			return at, nil
		case info.IsDir():
			return "", fmt.Errorf("%s: is a folder; name a file", path)
		case info.Mode()&fs.ModeSymlink == 0:
			return "", fmt.Errorf("%s: is a pipe or a device; name a file, and copy it from there",
				path)
		}
		to, err := os.Readlink(at)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(at), to)
		}
		at = to
	}
	return "", fmt.Errorf("%s: links that lead to each other; name a file", path)
}

// Swap puts the folder fresh at path, and the one that was there, if any, at
// aside. Where the system can, path changes hands in one step; a kill right
// after it leaves the old folder at fresh. Elsewhere a kill may leave aside and
// fresh and nothing at path. release is called ahead of that, for systems that
// cannot rename a folder with open files in it. Errors leave path as it was.
func Swap(path, fresh, aside string, release func()) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		release()
		return Move(path, fresh)
	}
	if err := Before(Rename, path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	err := exchange(path, fresh)
	if err == nil {
		return errors.Join(syncFolder(path), Move(aside, fresh))
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	release()
	if err := Move(aside, path); err != nil {
		return err
	}
	if err := Move(path, fresh); err != nil {
		return errors.Join(err, Move(path, aside))
	}
	return nil
}

// Move renames from to path, where nothing may be yet. Errors name both.
func Move(path, from string) error {
	if err := Before(Rename, path); err != nil {
		return fmt.Errorf("rename %s to %s: %w", from, path, err)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("rename %s to %s: %w", from, path, fs.ErrExist)
	}
	if err := replace(from, path); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: path, Err: err}
	}
	return syncFolder(path)
}

// unsupported reports whether err is that of a system or a file system that
// cannot exchange two names.
func unsupported(err error) bool {
	return errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP)
}
