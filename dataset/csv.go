package dataset

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxCSVBytes = 256 << 20
	maxCSVRows  = 10_000_000
	maxCell     = 64 << 10 // bytes in one cell
)

// row is one line of a labels file.
type row struct {
	line  int
	path  string // cleaned, with slashes, never outside the folder
	label string // trimmed
	split string // "", train, valid or test
}

// openCSV reads a labels file. The reference lists CSV order; here, as
// everywhere, the lists are sorted.
func openCSV(data string, o Options) (*Set, error) {
	rows, notes, err := readCSV(o.Labels)
	if err != nil {
		return nil, err
	}
	c := &csvSet{name: o.Labels, sep: o.LabelSep, set: &Set{Root: filepath.Dir(o.Labels), Multi: o.LabelSep != ""}}
	c.set.Warnings = notes
	for _, dir := range []string{c.set.Root, data} {
		if real, err := realPath(dir); err == nil && dir != "" {
			c.inside = append(c.inside, real)
		}
	}
	if rows, err = c.distinct(rows); err != nil {
		return nil, err
	}
	if err := c.build(rows); err != nil {
		return nil, err
	}
	hasSplit := rows[0].split != ""
	switch {
	case hasSplit && o.ValidPct > 0:
		c.set.warn("the split column decides, so the share of validation photographs (--valid-pct) is not used")
	case !hasSplit && o.orFallback().ValidPct == 0:
		return nil, fmt.Errorf("dataset: %s: no split column and no share to validate on; add --valid-pct 0.2 or a column split with train, valid, test", o.Labels)
	case !hasSplit:
		return c.set, c.set.split(o.orFallback())
	}
	return c.set, nil
}

// csvSet turns rows into a Set.
type csvSet struct {
	name, sep string
	inside    []string // real paths of the folders that files may lie in
	set       *Set
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
		case f.label != r.label || f.split != r.split:
			return nil, fmt.Errorf("dataset: %s:%d: %s again, with another label or split than in line %d; keep one of them", c.name, r.line, r.path, f.line)
		}
	}
	if n := len(rows) - len(kept); n > 0 {
		c.set.warn("%d rows of %s repeat an earlier one", n, filepath.Base(c.name))
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
		if r.split != "test" {
			c.set.Classes = append(c.set.Classes, cells[i]...)
		}
	}
	slices.Sort(c.set.Classes)
	c.set.Classes = slices.Compact(c.set.Classes)
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
	if len(missing) == len(rows) {
		return fmt.Errorf("dataset: %s: none of its %d files is below %s, the first is %s; paths are relative to the CSV's own folder", c.name, len(rows), c.set.Root, missing[0])
	}
	if len(missing) > 0 {
		c.set.warn("%d files of %s do not exist: %s", len(missing), filepath.Base(c.name), few(missing, 5))
	}
	sortItems(c.set.Train)
	sortItems(c.set.Valid)
	slices.SortFunc(c.set.Test, func(a, b Item) int { return strings.Compare(a.Path, b.Path) })
	return nil
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
	it = Item{Path: r.path, File: filepath.Join(c.set.Root, filepath.FromSlash(r.path)), Label: -1, Class: r.label}
	for _, l := range labels {
		// a test row may carry a label that nothing was trained on: unknown
		if i, ok := slices.BinarySearch(c.set.Classes, l); ok && c.set.Multi {
			it.Labels = append(it.Labels, i)
		} else if ok {
			it.Label = i
		}
	}
	real, err := realPath(it.File)
	if errors.Is(err, os.ErrNotExist) {
		return it, false, nil
	}
	if err != nil {
		return it, false, fmt.Errorf("dataset: %s:%d: %s: %w", c.name, r.line, r.path, reason(err))
	}
	for _, dir := range c.inside {
		if real == dir || strings.HasPrefix(real, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator)) {
			return it, true, c.plain(r, real)
		}
	}
	return it, false, fmt.Errorf("dataset: %s:%d: %s is a link out of %s; copy the file in", c.name, r.line, r.path, c.set.Root)
}

// realPath is path without symbolic links, from the root.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// plain refuses what is not a file: a folder, or a pipe that would hang the reader.
func (c *csvSet) plain(r row, real string) error {
	info, err := os.Stat(real)
	if err != nil {
		return fmt.Errorf("dataset: %s:%d: %s: %w", c.name, r.line, r.path, reason(err))
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

// readCSV opens the labels file and parses it.
func readCSV(name string) (rows []row, notes []string, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, fmt.Errorf("dataset: %s: %w; --labels wants a CSV file with the header path,label", name, reason(err))
	}
	if !info.Mode().IsRegular() || info.Size() > maxCSVBytes {
		return nil, nil, fmt.Errorf("dataset: %s: not a file of at most %d MB", name, maxCSVBytes>>20)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("dataset: %s: %w", name, reason(err))
	}
	defer f.Close()
	rows, notes, err = parseCSV(io.LimitReader(f, maxCSVBytes))
	if err != nil {
		return nil, nil, fmt.Errorf("dataset: %s%w", name, err)
	}
	return rows, notes, nil
}

// parseCSV reads a header path,label[,split] and its rows. Errors begin with
// ":LINE: " where a line is to blame, with ": " otherwise.
func parseCSV(r io.Reader) (rows []row, notes []string, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	if head, _ := b.Peek(3); bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3) // cannot fail: these bytes were just seen
	} else if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return nil, nil, errors.New(": UTF-16 text; save it as UTF-8")
	}
	cr := csv.NewReader(b)
	cr.FieldsPerRecord, cr.ReuseRecord = -1, true
	cols, notes, err := header(cr)
	if err != nil {
		return nil, nil, err
	}
	for {
		rec, err := cr.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, syntax(err)
		}
		line, _ := cr.FieldPos(0)
		if len(rec) == 1 && strings.TrimSpace(rec[0]) == "" {
			continue // a line of blanks
		}
		one, err := cols.row(rec)
		if err != nil {
			return nil, nil, fmt.Errorf(":%d: %w", line, err)
		}
		one.line = line
		if rows = append(rows, one); len(rows) > maxCSVRows {
			return nil, nil, fmt.Errorf(":%d: more than %d rows", line, maxCSVRows)
		}
	}
	if len(rows) == 0 {
		return nil, nil, errors.New(": a header but no rows")
	}
	return rows, notes, nil
}

// columns are the places of the columns in a record; split is -1 without one.
type columns struct{ n, path, label, split int }

func header(cr *csv.Reader) (columns, []string, error) {
	rec, err := cr.Read()
	if err == io.EOF {
		return columns{}, nil, errors.New(": empty; the first line must be path,label or path,label,split")
	}
	if err != nil {
		return columns{}, nil, syntax(err)
	}
	c := columns{len(rec), -1, -1, -1}
	var extra []string
	for i, name := range rec {
		place := map[string]*int{"path": &c.path, "label": &c.label, "split": &c.split}[strings.ToLower(strings.TrimSpace(name))]
		switch {
		case place == nil:
			extra = append(extra, fmt.Sprintf("%.40q", name))
		case *place >= 0:
			return c, nil, fmt.Errorf(":1: two columns called %.40q", name)
		default:
			*place = i
		}
	}
	if c.path < 0 || c.label < 0 {
		hint := ""
		if len(rec) == 1 && strings.ContainsAny(rec[0], ";\t") {
			hint = "; separate columns by commas"
		}
		return c, nil, fmt.Errorf(":1: the header is %.80q; it must be path,label or path,label,split%s", strings.Join(rec, ","), hint)
	}
	var notes []string
	if len(extra) > 0 {
		notes = append(notes, "dataset: labels file: columns not used: "+few(extra, 5))
	}
	return c, notes, nil
}

// syntax puts the line of an encoding/csv error in front.
func syntax(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf(":%d: %w", p.Line, p.Err)
	}
	return fmt.Errorf(": %w", err)
}

func (c columns) row(rec []string) (row, error) {
	if len(rec) != c.n {
		return row{}, fmt.Errorf("%d columns, the header has %d; quote cells that hold commas", len(rec), c.n)
	}
	for _, cell := range rec {
		if len(cell) > maxCell {
			return row{}, fmt.Errorf("a cell of %d bytes; is a quote left open?", len(cell))
		}
		if !utf8.ValidString(cell) {
			return row{}, fmt.Errorf("%.40q is not UTF-8; save the file as UTF-8", cell)
		}
	}
	var r row
	var err error
	if r.path, err = cleanPath(rec[c.path]); err != nil {
		return row{}, err
	}
	r.label = strings.TrimSpace(rec[c.label])
	if c.split < 0 {
		return r, nil
	}
	switch s := strings.ToLower(strings.TrimSpace(rec[c.split])); s {
	case "train", "valid", "test":
		r.split = s
	case "val":
		r.split = "valid"
	default:
		return row{}, fmt.Errorf("split is %.40q; it must be train, valid or test", rec[c.split])
	}
	return r, nil
}

// cleanPath refuses paths that leave the folder.
func cleanPath(p string) (string, error) {
	switch {
	case strings.TrimSpace(p) == "":
		return "", errors.New("no path")
	case strings.ContainsRune(p, 0):
		return "", fmt.Errorf("path %.80q holds a zero byte", p)
	case path.IsAbs(p) || filepath.IsAbs(p):
		return "", fmt.Errorf("path %.80q is absolute; make it relative to the CSV's folder", p)
	}
	clean := path.Clean(p)
	if clean == "." || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("path %.80q leaves the CSV's folder; move the CSV above the photographs", p)
	}
	return clean, nil
}
