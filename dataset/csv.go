package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/internal/remote"
)

// openCSV reads a labels file. The reference lists CSV order; here, as
// everywhere, the lists are sorted.
func openCSV(data string, o Options) (*Set, error) {
	t, err := readCSV(o.Labels, o.LabelSep, o.Group)
	if err != nil {
		return nil, err
	}
	set, err := t.set(data, o)
	if err != nil {
		return nil, err
	}
	switch hasSplit := t.split; {
	case hasSplit && o.ValidPct > 0:
		set.warn("the labels file has a split column, so --valid-pct is not used")
	case !hasSplit && o.orFallback().ValidPct == 0:
		return nil, fmt.Errorf("dataset: %s: no split column, so no photographs are held out for validation; add "+
			"--valid-pct 0.2 or a column split with train, valid, test", o.Labels)
	case !hasSplit && (set.Multi || len(set.Classes) > 1):
		return set, set.split(o.orFallback())
	}
	return set, nil
}

// Labelled lists the rows of a labels file to measure a classifier on, as Valid:
// those whose split is valid, or all of a file without that column. It may hold
// one class alone. Paths are as in Open.
func Labelled(data string, o Options) (*Set, error) {
	data, err := remote.Root(data)
	if err != nil {
		return nil, err
	}
	t, err := readCSV(o.Labels, o.LabelSep, o.Group)
	if err != nil {
		return nil, failure.Data(err)
	}
	if !slices.ContainsFunc(t.rows, func(r row) bool { return r.split != "test" }) {
		for i := range t.rows {
			t.rows[i].split = ""
		}
	}
	set, err := t.set(data, o)
	if err == nil {
		err = set.checkExcluded(o.Exclude)
	}
	if err != nil {
		return nil, failure.Data(err)
	}
	if len(set.Valid) == 0 {
		set.Valid = set.Train
	}
	set.Train, set.Test = nil, nil
	sortItems(set.Valid)
	return set, nil
}

// set finds the files of a labels file. Nothing is drawn.
func (t table) set(data string, o Options) (*Set, error) {
	c := &csvSet{name: o.Labels, sep: o.LabelSep, set: &Set{Multi: o.LabelSep != ""}}
	c.set.Warnings, c.set.Notes = t.odd, t.notes
	rows, err := c.locate(data, t.rows)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{c.set.Root, filepath.Dir(o.Labels), data} {
		if real, err := realPath(dir); err == nil && dir != "" {
			c.inside = append(c.inside, real)
		}
	}
	if rows, err = c.distinct(rows); err != nil {
		return nil, err
	}
	all := len(rows)
	rows = slices.DeleteFunc(rows, func(r row) bool { return o.Exclude.Has(r.path) })
	c.set.Excluded = all - len(rows)
	return c.set, c.build(rows)
}

// csvSet turns rows into a Set.
type csvSet struct {
	name, sep string
	inside    []string // real paths of the folders that files may lie in
	set       *Set
}

// locate finds the rows' files below the CSV's own folder or, if more of them
// are there, below DATA. That folder is the set's root.
func (c *csvSet) locate(data string, rows []row) ([]row, error) {
	own := filepath.Dir(c.name)
	f := &finder{root: own, csvDir: own}
	found, err := f.find(rows)
	c.set.Root = own
	if data != "" && found < len(rows) { // as after an error, which ends the search
		other, again := &finder{root: data, csvDir: own}, slices.Clone(rows)
		if n, e := other.find(again); e == nil && (err != nil || n > found) {
			f, rows, found, err = other, again, n, nil
			c.set.Root = data
			c.set.Notes = append(c.set.Notes, "labels file: its paths are relative to "+data)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("dataset: %s%w", c.name, err)
	}
	if found == 0 {
		return nil, c.nowhere(data, rows)
	}
	c.set.Notes = append(c.set.Notes, f.said()...)
	return rows, nil
}

// nowhere explains a labels file none of whose files were found.
func (c *csvSet) nowhere(data string, rows []row) error {
	own := filepath.Dir(c.name)
	roots, where := []string{own}, own
	if data != "" && filepath.Clean(data) != own {
		roots, where = append(roots, data), own+" or "+data
	}
	hint := "paths are relative to the CSV's own folder, or to DATA"
	if dir := whereElse(roots, rows[0].path); dir != "" {
		hint = fmt.Sprintf("%s has a file of that name: give that folder as DATA", dir)
	}
	return fmt.Errorf("dataset: %s: none of its %s is below %s, the first is %s (line %d); %s", c.name,
		plural.Of(len(rows), "file", "files"), where, rows[0].cell, rows[0].line, hint)
}

// distinct drops repeated rows and refuses contradicting ones.
func (c *csvSet) distinct(rows []row) ([]row, error) {
	first := map[string]row{}
	var kept []row
	for _, r := range rows {
		f, again := first[r.path]
		switch {
		case !again:
			first[r.path] = r
			kept = append(kept, r)
		case !naming.SameName(f.label, r.label) || f.split != r.split:
			return nil, fmt.Errorf("dataset: %s:%d: %s again, with another label or split than in line %d; keep one of them",
				c.name, r.line, r.path, f.line)
		}
	}
	if n := len(rows) - len(kept); n > 0 {
		c.set.warn("%s an earlier one in %s", plural.Of(n, "row repeats", "rows repeat"), filepath.Base(c.name))
	}
	return kept, nil
}

func (c *csvSet) build(rows []row) error {
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = c.cell(r.label)
		if len(cells[i]) == 0 && r.split != "test" && !c.set.Multi {
			return fmt.Errorf("dataset: %s:%d: no label; fill it in, or take the row out", c.name, r.line)
		}
	}
	c.classes(rows, cells)
	var missing []string
	for i, r := range rows {
		it, found, err := c.item(r, cells[i])
		if err != nil {
			return err
		}
		if !found {
			missing = append(missing, fmt.Sprintf("%s (line %d)", r.path, r.line))
		}
		c.add(r.split, it)
	}
	if len(missing) > 0 {
		c.set.warn("%s of %s %s: %s", plural.Count(len(missing), "file"), filepath.Base(c.name),
			plural.Form(len(missing), "does not exist", "do not exist"), naming.Few(missing, 5))
	}
	sortItems(c.set.Train)
	sortItems(c.set.Valid)
	slices.SortFunc(c.set.Test, func(a, b Item) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

// classes lists the labels of all rows but the test set's. Labels that differ in
// their Unicode form alone are one class; its cells get one form.
func (c *csvSet) classes(rows []row, cells [][]string) {
	form, twice := map[string]string{}, map[string]bool{} // by NFC: the form of the class, whether there are two
	for i, r := range rows {
		for _, l := range cells[i] {
			key := norm.NFC.String(l)
			have, ok := form[key]
			if r.split == "test" || have == l {
				continue
			}
			if twice[key] = ok; !ok || l == key {
				form[key] = l
			}
		}
	}
	for i := range cells {
		for k, l := range cells[i] {
			cells[i][k] = form[norm.NFC.String(l)] // "" for what the test set alone has, which is no class
		}
		slices.Sort(cells[i])
		cells[i] = slices.Compact(cells[i])
	}
	var names []string
	for key, name := range form {
		if c.set.Classes = append(c.set.Classes, name); twice[key] {
			names = append(names, name)
		}
	}
	slices.Sort(c.set.Classes)
	if slices.Sort(names); len(names) > 0 {
		c.set.warn("labels of one name in two Unicode forms, taken as one class: %s", naming.Few(names, 5))
	}
}

// cell splits a label cell; without a separator it is one label or none.
func (c *csvSet) cell(text string) []string {
	parts := []string{text}
	if c.sep != "" {
		parts = strings.Split(text, c.sep)
	}
	var labels []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			labels = append(labels, p)
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

func (c *csvSet) item(r row, labels []string) (it Item, found bool, err error) {
	it = Item{Path: r.path, File: naming.FilePath(c.set.Root, r.path), Label: -1, Class: r.label, Group: r.group}
	for _, l := range labels {
		// a test row may carry a label that nothing was trained on: unknown
		if i, ok := slices.BinarySearch(c.set.Classes, l); ok && c.set.Multi {
			it.Labels = append(it.Labels, i)
		} else if ok {
			it.Label, it.Class = i, l
		}
	}
	real, err := realPath(it.File)
	if errors.Is(err, os.ErrNotExist) {
		return it, false, nil
	}
	if err != nil {
		return it, false, fmt.Errorf("dataset: %s:%d: %s: %w", c.name, r.line, r.path, failure.Reason(err))
	}
	if !insideAny(real, c.inside) {
		return it, false, fmt.Errorf("dataset: %s:%d: %s is a link out of %s; give the folder that it leads to as DATA "+
			"(%s), or copy the file in",
			c.name, r.line, r.path, c.set.Root, filepath.Dir(real))
	}
	return it, true, c.plain(r, real)
}

// realPath is path without symbolic links, from the root.
func realPath(path string) (string, error) {
	if _, mounted := reading.Mounted(path); mounted { // no links there
		_, err := reading.Stat(path)
		return filepath.Clean(path), err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// plain refuses what is not a file: a folder, or a pipe that would hang the reader.
func (c *csvSet) plain(r row, real string) error {
	info, err := reading.Stat(real)
	if err != nil {
		return fmt.Errorf("dataset: %s:%d: %s: %w", c.name, r.line, r.path, failure.Reason(err))
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("dataset: %s:%d: %s is not a file", c.name, r.line, r.path)
	}
	return nil
}

func (c *csvSet) add(split string, it Item) {
	switch split {
	case "valid":
		c.set.Valid = append(c.set.Valid, it)
	case "test":
		c.set.Test = append(c.set.Test, it)
	default:
		c.set.Train = append(c.set.Train, it)
	}
}
