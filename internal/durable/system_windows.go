package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

// pendingFile does on Windows what renameio does elsewhere.
type pendingFile struct {
	*os.File
	path   string
	closed bool
	named  bool
}

func newPending(path string) (pending, error) {
	prefix := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	for try := 0; ; try++ {
		f, err := os.OpenFile(fmt.Sprintf("%s%019d", prefix, rand.Int64()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			return &pendingFile{File: f, path: path}, nil
		}
		if !errors.Is(err, os.ErrExist) || try > 100 {
			return nil, err
		}
	}
}

func (p *pendingFile) CloseAtomicallyReplace() error {
	if err := p.Sync(); err != nil {
		return err
	}
	p.closed = true
	if err := p.Close(); err != nil {
		return err
	}
	if err := replace(p.Name(), p.path); err != nil {
		return &os.LinkError{Op: "rename", Old: p.Name(), New: p.path, Err: err}
	}
	p.named = true
	return nil
}

func (p *pendingFile) Cleanup() error {
	if p.named {
		return nil
	}
	if !p.closed {
		p.closed = true
		_ = p.Close() // its bytes are not wanted
	}
	return os.Remove(p.Name())
}

// patience is how long a file that somebody holds open is waited for: virus
// scanners and indexers open each new file for a moment.
const patience = 2 * time.Second

// replace renames from to to, replacing a file there, and returns when the new name is on disk.
func replace(from, to string) error {
	f, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	t, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	wait := time.Millisecond
	for start := time.Now(); ; wait *= 2 {
		err := windows.MoveFileEx(f, t, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, windows.ERROR_ACCESS_DENIED) && !errors.Is(err, windows.ERROR_SHARING_VIOLATION):
			return err
		case writable(t): // as on other systems, where the folder's permissions decide
		case time.Since(start) > patience:
			return fmt.Errorf("%w: another program may have the file open; close it there", err)
		default:
			time.Sleep(wait)
		}
	}
}

// removeAll deletes a file or a folder. Where a file system does not know how
// Go deletes, by POSIX's rules, each file is deleted as Windows always did.
func removeAll(path string) error {
	err := os.RemoveAll(path)
	if err == nil {
		return nil
	}
	var found []string
	// what cannot be listed stays, and its folder says so
	_ = filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		found = append(found, p)
		return nil
	})
	for _, p := range slices.Backward(found) {
		if e := os.Remove(p); e != nil && !errors.Is(e, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// writable takes the read-only mark off a file and reports whether there was one.
func writable(name *uint16) bool {
	a, err := windows.GetFileAttributes(name)
	if err != nil || a&windows.FILE_ATTRIBUTE_READONLY == 0 || a&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		return false
	}
	return windows.SetFileAttributes(name, a&^windows.FILE_ATTRIBUTE_READONLY) == nil
}

// allowed refuses names that Windows gives another meaning: a:b would be the
// part b of a file a, and nul would swallow all that is written to it.
func allowed(path string) error {
	name := filepath.Base(path)
	switch {
	case strings.ContainsAny(name, `<>:"|?*`):
		return fmt.Errorf("%q cannot be a file's name on Windows: it holds one of < > : \" | ? *; choose another", name)
	case !filepath.IsLocal(name):
		return fmt.Errorf("%q is the name of a device on Windows; choose another", name)
	}
	return nil
}

// flushFolder has nothing to do: replace returns when the name is on disk.
func flushFolder(string) error { return nil }

// freeBytes is what this user may still write to the volume of dir.
func freeBytes(dir string) (int64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, err
	}
	return int64(min(free, math.MaxInt64)), nil
}
