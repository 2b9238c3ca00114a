//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// link gives a file a second name, unless somebody has it. Tests replace it.
var link = os.Link

// claim flushes f and gives it the name path, unless a file has it: then the error
// wraps fs.ErrExist. A hard link does so in one step, on NFS too. File systems
// without hard links (FAT, some of FUSE) are asked for a rename that refuses (Linux,
// macOS); where there is none either, the name is looked at and then taken, which keeps
// out writers of this process alone.
func claim(f pending, path string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	err := link(f.Name(), path)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		if sameFile(f.Name(), path) { // NFS lost the answer to the call that did it
			return nil
		}
		return fs.ErrExist
	case !linkless(err):
		return err
	}
	err = renameNew(f.Name(), path)
	if errors.Is(err, errors.ErrUnsupported) {
		return lookAndRename(f, path)
	}
	return err
}

// linkless reports whether err is a file system's that has no hard links.
func linkless(err error) bool {
	return unsupported(err) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EMLINK)
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	two, err := os.Lstat(b)
	return err == nil && os.SameFile(one, two)
}

var looking sync.Mutex

func lookAndRename(f pending, path string) error {
	looking.Lock()
	defer looking.Unlock()
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	return f.CloseAtomicallyReplace()
}
