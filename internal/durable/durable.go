// Package durable writes files that are either whole or absent.
//
// The bytes go to a temporary file in the same folder, are flushed to disk and
// appear under their name by rename; after an error or a kill the old file, if
// any, is untouched. Every file that finetune leaves is written through here.
package durable

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"finetune/internal/plural"
)

// Step is one thing that happens to a file on its way to its name.
type Step string

const (
	Create     Step = "create"      // the temporary file
	Data       Step = "write"       // up to 64 KB of it
	Sync       Step = "sync"        // its bytes to disk
	Rename     Step = "rename"      // to its name
	SyncFolder Step = "sync folder" // the name to disk
	Delete     Step = "remove"      // of a file that is no longer needed
)

// Before is called ahead of each step; the step fails with its error. Tests
// set it, to see what a full disk or a crash leaves behind (package faults).
var Before = func(s Step, path string) error { return nil }

// Write creates or replaces path with what fill writes, mode 0644 less the
// umask, creating missing folders. Errors name path.
func Write(path string, fill func(io.Writer) error) error {
	if err := write(path, fill); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// WriteNew is Write for a name that nobody may have yet: of any number of writers at
// once, in any processes, one gives the file its name, and the others' errors wrap
// fs.ErrExist. Where a file system has neither hard links nor a rename that refuses
// (see claim), two processes at once may both succeed; the file is whole even then.
func WriteNew(path string, fill func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil { // spares the work
		return fmt.Errorf("write %s: %w", path, fs.ErrExist)
	}
	if err := writeBy(path, fill, claim); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func write(path string, fill func(io.Writer) error) error {
	return writeBy(path, fill, func(f pending, _ string) error { return f.CloseAtomicallyReplace() })
}

// writeBy fills a temporary file, which finish flushes and gives its name.
func writeBy(path string, fill func(io.Writer) error, finish func(f pending, path string) error) error {
	if err := allowed(path); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := Before(Create, path); err != nil {
		return err
	}
	f, err := newPending(path)
	if err != nil {
		return err
	}
	defer f.Cleanup()
	w := bufio.NewWriterSize(&file{f, path}, 1<<16)
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range []Step{Sync, Rename} { // the file does both at once
		if err := Before(s, path); err != nil {
			return err
		}
	}
	if err := finish(f, path); err != nil {
		return err
	}
	return syncFolder(path)
}

// pending is a temporary file in the folder of the name it is to have.
type pending interface {
	io.Writer
	Name() string // of the temporary file
	Sync() error
	// CloseAtomicallyReplace flushes the bytes to disk and gives the file its name.
	CloseAtomicallyReplace() error
	// Cleanup removes the file, unless it has its name.
	Cleanup() error
}

// file is a temporary file on its way to path.
type file struct {
	io.Writer
	path string
}

// Write passes half of p on where it is to fail, as a disk does that fills up.
func (f *file) Write(p []byte) (int, error) {
	if err := Before(Data, f.path); err != nil {
		n, _ := f.Writer.Write(p[:len(p)/2])
		return n, err
	}
	return f.Writer.Write(p)
}

// Copy makes path what from holds, and removes it where from does not exist.
func Copy(path, from string) error {
	in, err := os.Open(from)
	if errors.Is(err, os.ErrNotExist) {
		return Remove(path)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	return Write(path, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// syncFolder makes the new name of path outlive a loss of power. File systems
// that cannot flush a folder do without.
func syncFolder(path string) error {
	if err := Before(SyncFolder, path); err != nil {
		return err
	}
	return flushFolder(filepath.Dir(path))
}

// Place gives what is at from, a file that is flushed or a folder, the name path
// in the same file system, and makes that outlive a loss of power. A file at path
// is replaced; a folder must not be there. Errors name both.
func Place(path, from string) error {
	if err := Before(Rename, path); err != nil {
		return fmt.Errorf("rename %s to %s: %w", from, path, err)
	}
	if err := replace(from, path); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: path, Err: err}
	}
	return syncFolder(path)
}

// Remove deletes a file or a folder; none is fine. Errors name path.
func Remove(path string) error {
	if err := Before(Delete, path); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return removeAll(path)
}

// randomDigits is the least number of digits that a temporary file's name ends in.
const randomDigits = 10

// Temporary reports whether name is one that a file had before it became one that
// ours knows by name: .NAME and random digits. NAME may end in digits of its own.
func Temporary(name string, ours func(name string) bool) bool {
	if !strings.HasPrefix(name, ".") {
		return false
	}
	for end := len(strings.TrimRight(name, "0123456789")); end <= len(name)-randomDigits; end++ {
		if end > 1 && ours(name[1:end]) {
			return true
		}
	}
	return false
}

// Entries lists a folder. A file in its place is no folder that is missing, as it
// is in Windows' words.
func Entries(dir string) ([]os.DirEntry, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s: a file, not a folder", dir)
	}
	return os.ReadDir(dir)
}

// Sweep removes what killed processes left half written in dir, of the files
// that ours knows by name. A dir that is a symbolic link is left alone. The
// caller keeps other writers out by a lock.
func Sweep(dir string, ours func(name string) bool) {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.Type().IsRegular() && Temporary(e.Name(), ours) {
			_ = os.Remove(filepath.Join(dir, e.Name())) // no harm if it stays
		}
	}
}

// WriteFile is Write for bytes already at hand.
func WriteFile(path string, data []byte) error {
	return Write(path, func(w io.Writer) error { _, err := w.Write(data); return err })
}

// Room returns an error that names dir unless its file system has need bytes free.
func Room(dir string, need int64) error {
	for d := dir; ; d = filepath.Dir(d) {
		if free, err := freeBytes(d); err == nil {
			if free < need {
				return fmt.Errorf("%s: %s free, %s needed; free some space or choose another folder", dir, size(free), size(need))
			}
			return nil
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

// size prints bytes in the largest unit that leaves a whole part.
func size(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB"}
	v, u := float64(n), 0
	for ; v >= 1000 && u < len(units)-1; u++ {
		v /= 1000
	}
	if u == 0 {
		return plural.Count(n, "byte")
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}
