// Package reading reads files of others, on storage that may fail for a moment:
// an error of the machine (failure.System) is met by trying again, and is never
// taken for a fault of the file.
package reading

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"time"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/plural"
)

// Pauses before each further try. Tests make them short.
var Pauses = []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 800 * time.Millisecond}

// Before is called ahead of each try to read; tests make it fail. Nothing may be
// read while it is set.
var Before = func(path string) error { return nil }

// Steadily calls do until it returns no error of the machine, four times at most.
// What remains of such errors says so.
func Steadily(path string, do func() error) error {
	var err error
	for try := 0; ; try++ {
		if err = Before(path); err == nil {
			err = do()
		}
		if !failure.System(err) || errors.Is(err, fs.ErrPermission) {
			return err
		}
		if try == len(Pauses) {
			cause := "the storage or the machine is to blame, not the file: run the command again"
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				cause = "a limit of this machine is to blame, not the file: raise it with `ulimit -n`, or lower --workers"
			}
			return fmt.Errorf("%w, in each of %s; %s", err, plural.Count(try+1, "try"), cause)
		}
		time.Sleep(Pauses[try])
	}
}

// MaxPhoto is the most bytes a photograph's file may have: larger files are not photographs.
const MaxPhoto = 256 << 20

// File is a whole file, or a member of a tar (Open), of at most limit bytes. A larger one is
// failure.Data.
func File(path string, limit int64) (data []byte, err error) {
	err = Steadily(path, func() error {
		f, err := Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if data, err = io.ReadAll(io.LimitReader(f, limit+1)); err != nil {
			return err
		}
		if int64(len(data)) > limit {
			return failure.Data(fmt.Errorf("%s: more than %s", path, plural.Count(limit, "byte")))
		}
		return nil
	})
	return data, err
}

// Digest is the SHA-256 of a file, or of a member of a tar, in hex.
func Digest(path string) (sum string, err error) {
	err = Steadily(path, func() error {
		r, err := Open(path)
		if err == nil {
			defer r.Close()
			sum, err = digest.Reader(r)
		}
		return err
	})
	return sum, err
}
