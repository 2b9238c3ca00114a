package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"finetune/dataset/exclude"
	"finetune/dataset/kinds"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/internal/tarshard"
)

const (
	maxDepth = 64         // folders inside folders
	maxFiles = 20_000_000 // files in one data set
)

// walker lists the files below folders of one root and counts what it leaves out.
type walker struct {
	root        string
	keepUnknown bool                         // keep a file with an unknown extension without looking inside
	shards      func(rel, file string) error // visits tar files; nil: they are left out
	visit       func(Item) error             // takes photographs as they come; nil: they are listed
	exclude     *exclude.List
	excluded    int
	files       int
	ignored     map[string]int      // extension or name -> files left out
	top         string              // the folder of this walk
	linked      map[string]bool     // real paths of folders that this walk reached through links
	notes       map[string][]string // what was odd -> paths
	left        map[string]string   // folders left out whole -> their names
	runs        map[string]bool     // folders that are runs of this program
}

// walk returns the photographs at and below the folder rel (relative to the
// root, with slashes), sorted by path, each with the given label.
func (w *walker) walk(rel string, label int, class string) ([]Item, error) {
	w.linked, w.top = map[string]bool{}, filepath.Join(w.root, filepath.FromSlash(rel))
	if rel != "" && w.above(w.top) {
		w.note(notFollowed, rel)
		return nil, nil
	}
	var above []os.FileInfo
	for dir := rel; dir != "" && dir != "."; {
		dir = path.Dir(dir)
		if info, err := reading.Stat(filepath.Join(w.root, filepath.FromSlash(dir))); err == nil {
			above = append(above, info)
		}
	}
	items, err := w.folder(nil, rel, above)
	if err != nil {
		return nil, err
	}
	for i := range items {
		items[i].Label, items[i].Class = label, class
	}
	slices.SortFunc(items, func(a, b Item) int { return strings.Compare(a.Path, b.Path) })
	return items, nil
}

// folder appends what lies in rel; above are the folders on the way down.
func (w *walker) folder(items []Item, rel string, above []os.FileInfo) ([]Item, error) {
	dir := filepath.Join(w.root, filepath.FromSlash(rel))
	here, err := reading.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", dir, failure.Reason(err))
	}
	if len(above) >= maxDepth {
		return nil, fmt.Errorf("dataset: %s: more than %d folders inside each other; is this the right folder?", dir,
			maxDepth)
	}
	if w.visit != nil && w.shards == nil {
		return items, w.paged(dir, rel, append(above[:len(above):len(above)], here))
	}
	entries, err := reading.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: cannot list: %w; check its permissions", dir, failure.Reason(err))
	}
	sums := func(e os.DirEntry) bool { return e.Name() == kinds.RunSums }
	if rel != "" && slices.ContainsFunc(entries, sums) && kinds.OwnRun(dir) {
		w.leaveRun(rel)
		return items, nil
	}
	above = append(above[:len(above):len(above)], here)
	for _, e := range entries {
		if items, err = w.entry(items, path.Join(rel, e.Name()), e, above); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// paged visits what lies in a folder bit by bit: there may be millions of files.
func (w *walker) paged(dir, rel string, above []os.FileInfo) error {
	if rel != "" && kinds.OwnRun(dir) {
		w.leaveRun(rel)
		return nil
	}
	next, end, err := pages(dir)
	if err == nil {
		defer end()
	}
	for err == nil {
		var entries []os.DirEntry
		entries, err = next()
		for _, e := range entries {
			if _, err := w.entry(nil, path.Join(rel, e.Name()), e, above); err != nil {
				return err
			}
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("dataset: %s: cannot list: %w; check its permissions", dir, failure.Reason(err))
}

func (w *walker) entry(items []Item, rel string, e os.DirEntry, above []os.FileInfo) ([]Item, error) {
	file := filepath.Join(w.root, filepath.FromSlash(rel))
	mode := e.Type()
	if mode&os.ModeSymlink != 0 {
		info, err := reading.Stat(file)
		switch {
		case err != nil: // a broken link: reading it will say so, under its name
			mode = 0
		case info.IsDir() && w.seen(file, info, above):
			w.note(notFollowed, rel)
			return items, nil
		default:
			mode = info.Mode().Type()
		}
	}
	switch {
	case mode.IsDir():
		if kinds.Leftover(e.Name()) {
			w.leave(rel, e.Name())
			return items, nil
		}
		return w.folder(items, rel, above)
	case !mode.IsRegular(): // a pipe would hang the reader
		w.note("neither a file nor a folder, ignored", rel)
		return items, nil
	case w.shards != nil && tarshard.IsShard(e.Name()):
		return items, w.listShard(w.shards, rel, file)
	case !w.wanted(file, e.Name()):
		return items, nil
	}
	if w.files++; w.files > maxFiles && w.visit == nil {
		return nil, fmt.Errorf("dataset: %s: more than %d files", w.root, maxFiles)
	}
	if w.exclude.Has(naming.EscapePath(rel)) {
		w.excluded++
		return items, nil
	}
	it := Item{Path: naming.EscapePath(rel), File: file, Label: -1}
	if w.visit != nil {
		return items, w.visit(it)
	}
	return append(items, it), nil
}

const notFollowed = "link to a folder already listed, not followed"

// seen reports whether following a link to a folder would loop or list it twice.
func (w *walker) seen(file string, info os.FileInfo, above []os.FileInfo) bool {
	if slices.ContainsFunc(above, func(a os.FileInfo) bool { return os.SameFile(a, info) }) || w.above(file) {
		return true
	}
	target, err := realPath(file)
	if err != nil || w.linked[target] || w.listed(target) {
		return true
	}
	w.linked[target] = true
	return false
}

// above reports whether a folder is really one on its own way down from the
// root, or one that holds such a folder: what is there is of other parts too.
func (w *walker) above(file string) bool {
	target, err := realPath(file)
	if err != nil {
		return false
	}
	root := filepath.Clean(w.root)
	for dir := filepath.Clean(file); dir != root && dir != filepath.Dir(dir); {
		dir = filepath.Dir(dir)
		if real, err := realPath(dir); err == nil && insideAny(real, []string{target}) {
			return true
		}
	}
	return false
}

// listed reports whether this walk comes to a folder without any link.
func (w *walker) listed(target string) bool {
	if w.top == "" {
		return false
	}
	top, err := realPath(w.top)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(top, target)
	return err == nil && filepath.IsLocal(rel) &&
		!slices.ContainsFunc(strings.Split(rel, string(filepath.Separator)), kinds.Leftover)
}

// wanted says whether file could be a photograph; what is left out is counted.
// A name that looks like a picture is enough: content decides when it is decoded.
func (w *walker) wanted(file, name string) bool {
	ext := strings.ToLower(path.Ext(name))
	switch {
	case kinds.System(name):
		w.ignore(naming.EscapePath(name))
		return false
	case kinds.Other(ext):
		w.ignore(ext)
		return false
	case w.keepUnknown || kinds.Pictures[ext] || kinds.LooksLikePicture(file):
		return true
	}
	w.ignore(cmp.Or(naming.EscapePath(ext), "no extension"))
	return false
}

func (w *walker) ignore(what string) {
	if w.ignored == nil {
		w.ignored = map[string]int{}
	}
	w.ignored[what]++
}

func (w *walker) note(what, rel string) {
	if w.notes == nil {
		w.notes = map[string][]string{}
	}
	w.notes[what] = append(w.notes[what], naming.EscapePath(rel))
}

// leave notes a folder that is left out whole.
func (w *walker) leave(rel, name string) {
	if w.left == nil {
		w.left = map[string]string{}
	}
	w.left[rel] = naming.EscapePath(name)
}

func (w *walker) leaveRun(rel string) {
	if w.runs == nil {
		w.runs = map[string]bool{}
	}
	w.runs[rel] = true
}

func (w *walker) ignoredFiles() int {
	n := 0
	for _, k := range w.ignored {
		n += k
	}
	return n
}

// warnings says what was left out, one line a reason, in a fixed order.
func (w *walker) warnings() []string {
	var lines []string
	if len(w.ignored) > 0 {
		var parts []string
		for _, what := range slices.Sorted(maps.Keys(w.ignored)) {
			parts = append(parts, fmt.Sprintf("%s %d", what, w.ignored[what]))
		}
		lines = append(lines, fmt.Sprintf("dataset: %s: %s left out (%s)",
			w.root, plural.Of(w.ignoredFiles(), "file is not a photograph and was", "files are not photographs and were"),
			naming.Few(parts, 8)))
	}
	if len(w.left) > 0 {
		lines = append(lines, fmt.Sprintf("dataset: %s: %s left out (%s)", w.root,
			plural.Of(len(w.left), "hidden or system folder was", "hidden or system folders were"),
			naming.Few(tally(w.left), 8)))
	}
	if len(w.runs) > 0 {
		lines = append(lines, fmt.Sprintf("dataset: %s: %s left out (%s)", w.root,
			plural.Of(len(w.runs), "run of finetune was", "runs of finetune were"),
			naming.Few(slices.Sorted(maps.Keys(w.runs)), 5)))
	}
	for _, what := range slices.Sorted(maps.Keys(w.notes)) {
		lines = append(lines, fmt.Sprintf("dataset: %s: %s: %s", w.root, what,
			naming.Few(slices.Sorted(slices.Values(w.notes[what])), 5)))
	}
	return lines
}

// tally counts equal values: "name count", sorted.
func tally(m map[string]string) []string {
	n := map[string]int{}
	for _, v := range m {
		n[v]++
	}
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%s %d", v, n[v]))
	}
	return parts
}
