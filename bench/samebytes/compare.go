//go:build unix

package main

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// exception is files that may differ.
type exception struct {
	glob   string // of the file's name, or of its whole path where it holds a slash
	reason string
	strip  func([]byte) ([]byte, error) // leaves out what may differ, and the rest must be equal; nil: all of it may
}

// timed are the files that differ between two runs of one program, or may in another version without harm.
var timed = []exception{
	{"summary.json", "holds seconds", stripJSON},
	{"evaluated/*.json", "holds seconds", stripJSON},
	{"*-unfinished/history.csv", "a run was killed at another step", nil},
	{"*-unfinished/steps.csv", "a run was killed at another step", nil},
	{"history.csv", "holds seconds", stripColumn},
	{"recipe.csv", "holds seconds", stripColumn},
	{"*-unfinished/state.safetensors", "a run was killed at another step", nil},
	{"*-unfinished/.*[0-9]", "a file that was being written when the run was killed", nil},
	{"state.safetensors", "the history in it holds seconds, and its checksum covers them", stripState},
	{"report/index.html", "holds seconds", stripPage},
	{"*/report/index.html", "holds seconds", stripPage},
	{"*/report/gains.png", "draws seconds", nil},
	{"training_model.onnx", "its nodes may have other names; what it trained is in checkpoints, which are equal", nil},
}

const sums = "SHA256SUMS"

// exceptions are all files that may differ: those named, those that hold seconds, and the digests of both.
func exceptions(named []exception) []exception {
	keep := func(data []byte) ([]byte, error) { return data, nil } // stripSums, by digests, which knows of what folder
	return append(append(slices.Clone(named), timed...), exception{sums, "holds digests of files that may differ", keep})
}

func (e exception) covers(name string) bool {
	if !strings.Contains(e.glob, "/") {
		name = path.Base(name)
	}
	ok, _ := path.Match(e.glob, name)
	return ok
}

// outside are parts of a trial's folder that its program did not make.
func outside(name string) bool {
	return name == "finetune" || slices.ContainsFunc(downloads, func(d string) bool {
		return strings.HasPrefix(name, "home/"+d+"/")
	})
}

// digests are those of all files below a folder that the trial made, by path. The
// shards of a cache count as one file, DIR/*.arrow: its rows in order.
func digests(dir string, list []exception) (map[string]string, error) {
	all, rows := map[string]string{}, map[string][]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil || outside(filepath.ToSlash(name)) || ofMaps(filepath.Dir(file)) {
			return err
		}
		name = filepath.ToSlash(name)
		data, err := os.ReadFile(file)
		if dir, base := path.Split(name); err == nil && path.Ext(base) == ".arrow" {
			rows[dir], err = appendRows(rows[dir], data)
			if err != nil {
				err = fmt.Errorf("%s: %w", file, err)
			}
			return err
		}
		if i := covering(list, name); err == nil && i >= 0 && list[i].strip != nil {
			data, err = list[i].strip(data)
		}
		if err == nil && path.Base(name) == sums {
			data, err = stripSums(data, path.Dir(name), list)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		all[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		return nil
	})
	for dir, list := range rows {
		slices.Sort(list)
		all[dir+"*.arrow"] = fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(list, "\n"))))
	}
	return all, err
}

func appendRows(rows []string, shard []byte) ([]string, error) {
	more, err := rowsOf(shard)
	return append(rows, more...), err
}

func covering(list []exception, name string) int {
	return slices.IndexFunc(list, func(e exception) bool { return e.covers(name) })
}

// compare lists every file of both folders, and fails on differences without a reason.
func compare(w io.Writer, old, now string, list []exception) error {
	a, errA := digests(old, list)
	b, errB := digests(now, list)
	if err := errors.Join(errA, errB); err != nil {
		return err
	}
	names := maps.Clone(a)
	maps.Copy(names, b)
	same, explained, unexplained := 0, 0, 0
	for _, name := range slices.Sorted(maps.Keys(names)) {
		i := covering(list, name)
		switch {
		case a[name] == b[name] && i >= 0 && list[i].strip != nil:
			same++
			fmt.Fprintf(w, "same       %.12s  %s, but for what %s\n", a[name], name, list[i].reason)
		case a[name] == b[name]:
			same++
			fmt.Fprintf(w, "same       %.12s  %s\n", a[name], name)
		case i >= 0 && list[i].strip == nil:
			explained++
			fmt.Fprintf(w, "may differ %.12s  %.12s  %s: %s\n", text(a[name]), text(b[name]), name, list[i].reason)
		default:
			unexplained++
			fmt.Fprintf(w, "DIFFERENT  %.12s  %.12s  %s\n", text(a[name]), text(b[name]), name)
		}
	}
	fmt.Fprintf(w, "%d files the same, %d differ and may, %d differ\n", same, explained, unexplained)
	if unexplained > 0 {
		return fmt.Errorf("%d files differ without a reason; see DIFFERENT above", unexplained)
	}
	return nil
}

// text is a digest, or that the file is not there.
func text(digest string) string { return cmp.Or(digest, "absent......") }
