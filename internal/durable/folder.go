package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// ReplaceFolder puts the folder fresh in the place of dir, which may not be
// there. What dir held and fresh does not is in the new one then; only files of
// the same names are gone. Both must be on one file system.
func ReplaceFolder(dir, fresh string) error {
	aside := dir + ".replaced"
	if _, err := os.Lstat(aside); err == nil { // of a process that was killed here
		if err := pourInto(dir, aside); err != nil {
			return err
		}
	}
	if err := Swap(dir, fresh, aside, func() {}); err != nil {
		return err
	}
	return pourInto(dir, aside)
}

// pourInto moves what dir lacks over from aside and removes the rest of it.
func pourInto(dir, aside string) error {
	err := filepath.WalkDir(aside, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == aside {
			return err
		}
		rel, _ := filepath.Rel(aside, path) // which lies below it
		to := filepath.Join(dir, rel)
		info, err := os.Lstat(to)
		switch {
		case err != nil:
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				return err
			}
			if err := Move(to, path); err != nil {
				return err
			}
		case d.IsDir() && info.IsDir():
			return nil
		default:
			if err := Remove(path); err != nil {
				return err
			}
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return Remove(aside) // but folders, it is empty
}
