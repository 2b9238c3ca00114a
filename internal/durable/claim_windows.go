package durable

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// claim flushes f and gives it the name path, unless a file has it: then the error
// wraps fs.ErrExist. Windows' rename refuses by itself.
func claim(f pending, path string) error {
	p := f.(*pendingFile)
	if err := p.Sync(); err != nil {
		return err
	}
	from, err := windows.UTF16PtrFromString(p.Name())
	if err != nil {
		return err
	}
	to, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	p.closed = true
	if err := p.Close(); err != nil {
		return err
	}
	err = windows.MoveFileEx(from, to, windows.MOVEFILE_WRITE_THROUGH)
	if errors.Is(err, windows.ERROR_ALREADY_EXISTS) || errors.Is(err, windows.ERROR_FILE_EXISTS) {
		return fs.ErrExist
	}
	p.named = err == nil
	return err
}
