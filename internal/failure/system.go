package failure

import (
	"errors"
	"io/fs"
	"runtime"
	"syscall"
)

// System reports whether err is an error of the machine or its storage (a disk
// that fails, too many open files, a stale network mount) and says nothing about
// the file that it struck: that may be sound, and the same call may succeed later.
func System(err error) bool {
	var p *passing
	if errors.As(err, &p) {
		return true
	}
	var number syscall.Errno
	if !errors.As(err, &number) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) ||
		errors.Is(err, fs.ErrExist) {
		return false
	}
	for _, own := range ofTheFile {
		if number == own {
			return false
		}
	}
	return runtime.GOOS != "windows" || !ofTheName[number]
}

// Passing marks an error of the network or of a service as one of the machine (System),
// for errors that have no number. Passing(nil) is nil.
func Passing(err error) error {
	if err == nil {
		return nil
	}
	return &passing{err}
}

type passing struct{ error }

func (p *passing) Unwrap() error { return p.error }

// ofTheFile are errors that a file has by itself: what it is, or what it is called.
var ofTheFile = []syscall.Errno{
	syscall.EISDIR, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.ENXIO, syscall.ENODEV,
}

// ofTheName are Windows' own: ERROR_BAD_PATHNAME, ERROR_FILENAME_EXCED_RANGE,
// ERROR_INVALID_NAME and ERROR_DIRECTORY.
var ofTheName = map[syscall.Errno]bool{161: true, 206: true, 123: true, 267: true}
