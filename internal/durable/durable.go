// Package durable writes files that are either whole or absent.
//
//	err := durable.Write(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
//
// The bytes go to a temporary file in the same folder, are flushed to disk and
// appear under their name by rename; after an error or a kill the old file, if
// any, is untouched. Every file that finetune leaves is written through here.
package durable

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// Write creates or replaces path with what fill writes, mode 0644 less the
// umask, creating missing folders. Errors name path.
func Write(path string, fill func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644), renameio.WithTempDir(filepath.Dir(path)))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer f.Cleanup()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := fill(w); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// WriteFile is Write for bytes already at hand.
func WriteFile(path string, data []byte) error {
	return Write(path, func(w io.Writer) error { _, err := w.Write(data); return err })
}

// Room returns an error that names dir unless its file system has need bytes free.
func Room(dir string, need int64) error {
	for d := dir; ; d = filepath.Dir(d) {
		var s unix.Statfs_t
		if err := unix.Statfs(d, &s); err == nil {
			if free := int64(s.Bavail) * s.Bsize; free < need {
				return fmt.Errorf("%s: %d MB free, %d MB needed; free some space or choose another folder", dir, free>>20, need>>20)
			}
			return nil
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}
