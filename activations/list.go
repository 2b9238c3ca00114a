package activations

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Entry is one key's folder.
type Entry struct {
	Dir      string // the folder
	Key      Key    // zero where key.json cannot be read
	Features int
	Rows     int   // distinct ones
	Bytes    int64 // all of its files
	LastUsed time.Time
}

// List returns the keys under dir, the longest unused first. A dir that does
// not exist has none.
func List(dir string) ([]Entry, error) {
	folders, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("activations: %w", err)
	}
	var list []Entry
	for _, f := range folders {
		if !keyFolder.MatchString(f.Name()) {
			continue // somebody else's
		}
		if e, ok := entry(filepath.Join(dir, f.Name())); f.IsDir() && ok {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(a.LastUsed.Compare(b.LastUsed), strings.Compare(a.Dir, b.Dir))
	})
	return list, nil
}

// Holds reports whether dir has rows of any key, or had them once.
func Holds(dir string) bool {
	folders, _ := os.ReadDir(dir)
	return slices.ContainsFunc(folders, func(f os.DirEntry) bool {
		_, err := os.Stat(filepath.Join(dir, f.Name(), "key.json"))
		return err == nil && keyFolder.MatchString(f.Name())
	})
}

// entry looks at one folder; ok is false for one that is not a key's.
func entry(dir string) (e Entry, ok bool) {
	info, err := os.Stat(filepath.Join(dir, "key.json"))
	if err != nil {
		return e, false
	}
	e = Entry{Dir: dir, LastUsed: info.ModTime()}
	files, err := os.ReadDir(dir)
	if err != nil {
		return e, false
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && OwnFile(f.Name()) {
			e.Bytes += info.Size()
		}
	}
	text, _ := os.ReadFile(filepath.Join(dir, "key.json"))
	k, err := parseKey(text)
	if err != nil {
		return e, true // unreadable or damaged: listed, so that it can be removed
	}
	e.Key, e.Features = k.Key, k.Features
	e.Rows = countRows(dir, k)
	return e, true
}

func countRows(dir string, k keyFile) int {
	names, _ := shardNames(dir)
	distinct := map[Digest]bool{}
	for _, name := range names {
		s, err := openShard(filepath.Join(dir, name), k, false)
		if err != nil {
			continue
		}
		for _, b := range s.batches {
			for _, d := range b.digests {
				distinct[d] = true
			}
		}
		_ = s.close() // read only
	}
	return len(distinct)
}

// keyFolder is the name of a key's folder: its hash.
var keyFolder = regexp.MustCompile(`^[0-9a-f]{32}$`)

// lockName is the name of a lock in a key's folder.
var lockName = regexp.MustCompile(`^lock-(compact|[0-9a-f]{16})$`)

// OwnFile knows the files that this package makes in a key's folder.
func OwnFile(name string) bool {
	return name == "key.json" || temporary(name) || lockName.MatchString(name) ||
		shardName.MatchString(strings.TrimSuffix(name, ".damaged"))
}

// Remove deletes a key's rows, the files of this package alone. Processes that
// have it open keep what they have read.
func Remove(e Entry) error {
	files, err := os.ReadDir(e.Dir)
	if err != nil {
		return fmt.Errorf("activations: %w", err)
	}
	var errs []error
	for _, f := range files {
		if !OwnFile(f.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(e.Dir, f.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("activations: %w", err)
	}
	if err := os.Remove(e.Dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("activations: %w; it holds files of others", err)
	}
	return nil
}

// Drop deletes the rows of one key under dir, if there are any: the next Fill
// computes all of them.
func Drop(dir string, k Key, features int) error {
	e, ok := entry(filepath.Join(dir, keyFile{Format: format, Features: features, Key: k}.hash()))
	if !ok {
		return nil
	}
	return Remove(e)
}

// PruneOptions say what may go; zero fields do not count.
type PruneOptions struct {
	KeepBytes int64         // remove the longest unused keys until the rest is no larger
	OlderThan time.Duration // remove keys unused for so long
}

// Prune removes keys under dir and returns those that are gone.
func Prune(dir string, o PruneOptions) (removed []Entry, err error) {
	list, err := List(dir)
	if err != nil {
		return nil, err
	}
	var total int64
	for _, e := range list {
		total += e.Bytes
	}
	for _, e := range list {
		old := o.OlderThan > 0 && time.Since(e.LastUsed) > o.OlderThan
		if !old && (o.KeepBytes <= 0 || total <= o.KeepBytes) {
			continue
		}
		if err := Remove(e); err != nil {
			return removed, err
		}
		removed, total = append(removed, e), total-e.Bytes
	}
	return removed, nil
}
