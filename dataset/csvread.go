package dataset

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"finetune/dataset/kinds"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
)

const (
	maxCSVBytes = 256 << 20
	maxCSVRows  = 10_000_000
	maxCell     = 64 << 10 // bytes in one cell
)

// row is one line of a labels file.
type row struct {
	line   int
	cell   string // the path as it is written
	path   string // what it was found to be: relative, cleaned, with slashes
	label  string // trimmed
	split  string // "", train, valid or test
	group  string
	source string // of a journal
}

// table is a labels file that was read.
type table struct {
	rows  []row
	split bool     // there is a split column
	notes []string // what was decided
	odd   []string // what may be wrong
}

// readCSV opens the labels file and parses it.
func readCSV(name, sep, group string) (table, error) {
	info, err := os.Stat(name)
	if err != nil {
		return table{}, fmt.Errorf("dataset: %s: %w; --labels wants a CSV file with the header path,label", name,
			failure.Reason(err))
	}
	if !info.Mode().IsRegular() || info.Size() > maxCSVBytes {
		return table{}, fmt.Errorf("dataset: %s: not a file of at most %d MB", name, maxCSVBytes>>20)
	}
	f, err := os.Open(name)
	if err != nil {
		return table{}, fmt.Errorf("dataset: %s: %w", name, failure.Reason(err))
	}
	defer f.Close()
	t, err := parseCSV(io.LimitReader(f, maxCSVBytes), sep, group)
	if err != nil {
		return table{}, fmt.Errorf("dataset: %s%w", name, err)
	}
	return t, nil
}

// parseCSV reads a header and its rows. Cells are separated by what separates
// the header's: commas, semicolons, tabs or bars. sep separates the labels of
// one photograph, group names the column of groups, as in Options. Errors begin with ":LINE: " where a line is to
// blame, with ": " otherwise.
func parseCSV(r io.Reader, sep, group string) (t table, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	if head, _ := b.Peek(3); bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3) // cannot fail: these bytes were just seen
	} else if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return t, errors.New(": UTF-16 text; save it as UTF-8")
	}
	first, _ := b.Peek(1 << 16)
	cr := csv.NewReader(b)
	cr.Comma, cr.FieldsPerRecord, cr.ReuseRecord = delimiter(first), -1, true
	cols, err := header(cr, sep, group)
	if err != nil {
		return t, err
	}
	for {
		rec, err := cr.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return t, syntax(err)
		}
		line, _ := cr.FieldPos(0)
		if blank(rec) {
			continue
		}
		one, err := cols.row(rec, len(t.rows) == 0)
		if err != nil {
			return t, fmt.Errorf(":%d: %w", line, err)
		}
		one.line = line
		if t.rows = append(t.rows, one); len(t.rows) > maxCSVRows {
			return t, fmt.Errorf(":%d: more than %d rows", line, maxCSVRows)
		}
	}
	t.settle(cols)
	if len(t.rows) == 0 {
		return t, errors.New(": a header but no rows")
	}
	if cols.noSplit {
		for i := range t.rows {
			t.rows[i].split = ""
		}
		cols.split = -1
	}
	t.split, t.notes, t.odd = cols.split >= 0 || t.split, append(t.notes, cols.notes()...), cols.odd()
	return t, nil
}

// blank reports whether a row says nothing: a line of blanks, or the empty
// rows that spreadsheets add.
func blank(rec []string) bool {
	return !slices.ContainsFunc(rec, func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

// delimiter is the sign between the header's cells.
func delimiter(text []byte) rune {
	text, _, _ = bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n")) // empty lines before it are skipped
	best, most := ',', 0
	for _, sign := range ",;\t|" {
		quoted, n := false, 0
		for _, c := range string(text) {
			if c == '"' {
				quoted = !quoted
			} else if c == sign && !quoted {
				n++
			}
		}
		if n > most {
			best, most = sign, n
		}
	}
	return best
}

// columns are the places of the columns in a record, -1 without one.
type columns struct {
	names              []string
	path, label, split int
	group              int
	source             int    // what a label of a journal is for; -1 in any other file
	named              string // the split column's name, folded
	noSplit            bool   // what looked like the split column holds something else
	oneHot             []int  // a column a class, in place of label
	sep                string
}

// The names that columns have in data sets people share, the likelier first.
var (
	pathColumns = strings.Fields("path file filename file_name filepath file_path image_path img_path image img " +
		"image_file image_name img_name image_id imageid img_id id_code id name fname photo picture")
	labelColumns = strings.Fields("label labels class class_name classname class_label category target tag tags breed " +
		"species diagnosis variety level y")
	splitColumns = strings.Fields("split subset partition data_split set usage is_valid is_val")
)

// folded is a column's name as the lists above have it.
func folded(name string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
}

const wantHeader = "the first line must be path,label or path,label,split"

func header(cr *csv.Reader, sep, group string) (c columns, err error) {
	rec, err := cr.Read()
	if err == io.EOF {
		return c, errors.New(": empty; " + wantHeader)
	}
	if err != nil {
		return c, syntax(err)
	}
	c = columns{names: slices.Clone(rec), sep: sep, source: sourceColumn(rec)}
	for _, p := range []struct {
		place *int
		names []string
	}{{&c.path, pathColumns}, {&c.label, labelColumns}, {&c.split, splitColumns}} {
		if *p.place, err = c.find(p.names); err != nil {
			return c, err
		}
	}
	if c.split >= 0 {
		c.named = folded(c.names[c.split])
	}
	if c.group = -1; group != "" {
		if c.group, err = c.find([]string{folded(group)}); err != nil {
			return c, err
		}
		if c.group < 0 {
			return c, fmt.Errorf(":1: there is no column %.40q to group by; the columns are %s", group, naming.Few(c.names, 12))
		}
	}
	if c.path >= 0 && c.label < 0 {
		rest := c.unused()
		if len(rest) == 1 {
			c.label = rest[0]
		} else {
			c.oneHot = rest // decided by the first row
		}
	}
	if c.path < 0 || c.label < 0 && len(c.oneHot) == 0 {
		return c, fmt.Errorf(":1: the header is %.80q; it must be path,label or path,label,split%s", strings.Join(rec, ","),
			headerHint(rec))
	}
	return c, nil
}

// headerHint guesses why a first line is no header.
func headerHint(rec []string) string {
	for _, cell := range rec {
		cell = strings.ToLower(cell)
		for ending := range kinds.Pictures {
			if strings.HasSuffix(cell, ending) {
				return "; this looks like a row: put a header line before it"
			}
		}
	}
	return ""
}

// find returns the place of the first of the names that is a column's.
func (c *columns) find(names []string) (int, error) {
	for _, want := range names {
		at := -1
		for i, name := range c.names {
			if folded(name) != want {
				continue
			}
			if at >= 0 {
				return -1, fmt.Errorf(":1: two columns called %.40q", name)
			}
			at = i
		}
		if at >= 0 {
			return at, nil
		}
	}
	return -1, nil
}

// unused are the columns that have a name and no place.
func (c *columns) unused() []int {
	var rest []int
	for i, name := range c.names {
		taken := i == c.path || i == c.label || i == c.split || i == c.group || slices.Contains(c.oneHot, i)
		if !taken && strings.TrimSpace(name) != "" {
			rest = append(rest, i)
		}
	}
	return rest
}

// notes say how columns of other names than path and label were taken.
func (c *columns) notes() (lines []string) {
	if c.split >= 0 && c.named != "split" {
		lines = append(lines, fmt.Sprintf("labels file: column %.40q says what to train and what to validate on",
			c.names[c.split]))
	}
	switch path := c.names[c.path]; {
	case len(c.oneHot) > 0:
		return append(lines, fmt.Sprintf("labels file: column %.40q is the path, the %s", path,
			plural.Of(len(c.oneHot), "other column is the class", "other columns are the classes")))
	case folded(path) != "path" || folded(c.names[c.label]) != "label":
		return append(lines, fmt.Sprintf("labels file: column %.40q is the path, %.40q the label", path, c.names[c.label]))
	}
	return lines
}

func (c *columns) odd() []string {
	var extra []string
	if c.source >= 0 {
		return nil
	}
	for _, i := range c.unused() {
		if folded(c.names[i]) == "suggested" { // of relabel.csv, which an audit writes
			continue
		}
		extra = append(extra, fmt.Sprintf("%.40q", c.names[i]))
	}
	if len(extra) == 0 {
		return nil
	}
	return []string{"dataset: labels file: columns not used: " + naming.Few(extra, 5)}
}

// syntax puts the line of an encoding/csv error in front.
func syntax(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		hint := ""
		if errors.Is(p.Err, csv.ErrQuote) || errors.Is(p.Err, csv.ErrBareQuote) {
			hint = `; close the quote, or write "" for one inside a quoted cell`
		}
		return fmt.Errorf(":%d: %w%s", p.StartLine, p.Err, hint) // where a row with an open quote begins
	}
	return fmt.Errorf(": %w", err)
}

func (c *columns) row(rec []string, first bool) (row, error) {
	if n := len(c.names); len(rec) < n || !blank(rec[n:]) {
		return row{}, fmt.Errorf("%s, the header has %d; quote cells that hold the separator",
			plural.Of(len(rec), "column", "columns"), n)
	}
	for _, cell := range rec {
		if len(cell) > maxCell {
			return row{}, fmt.Errorf("a cell of %s; is a quote left open?", plural.Count(len(cell), "byte"))
		}
		if !utf8.ValidString(cell) {
			return row{}, fmt.Errorf("%.40q is not UTF-8; save the file as UTF-8", cell)
		}
	}
	r := row{cell: rec[c.path]}
	if c.source >= 0 {
		r.source = strings.Clone(rec[c.source])
	}
	if c.group >= 0 {
		r.group = strings.TrimSpace(rec[c.group])
	}
	if err := checkCell(r.cell); err != nil {
		return row{}, err
	}
	var err error
	if c.split >= 0 {
		if r.split, err = c.part(rec[c.split]); err != nil && c.named == "split" {
			return row{}, err
		}
		c.noSplit = c.noSplit || err != nil
	}
	if len(c.oneHot) == 0 {
		r.label = strings.TrimSpace(rec[c.label])
		return r, nil
	}
	r.label, err = c.hot(rec, first, r.split)
	return r, err
}

// part reads a cell of the split column.
func (c *columns) part(cell string) (string, error) {
	value := strings.ToLower(strings.TrimSpace(cell))
	if c.named == "is_valid" || c.named == "is_val" {
		switch value {
		case "true", "1", "1.0", "yes":
			return "valid", nil
		case "false", "0", "0.0", "no":
			return "train", nil
		}
		return "", fmt.Errorf("%s is %.40q; it must be True or False", c.named, cell)
	}
	switch kinds.RoleOfValue(value) {
	case kinds.TrainRole:
		return "train", nil
	case kinds.ValidRole:
		return "valid", nil
	case kinds.TestRole:
		return "test", nil
	}
	return "", fmt.Errorf("%s is %.40q; it must be train, valid or test", c.named, cell)
}

// hot reads the columns of the classes, which hold 0 and 1.
func (c *columns) hot(rec []string, first bool, split string) (string, error) {
	var labels []string
	for _, i := range c.oneHot {
		name := strings.TrimSpace(c.names[i])
		switch strings.ToLower(strings.TrimSpace(rec[i])) {
		case "1", "1.0", "true":
			if c.sep != "" && strings.Contains(name, c.sep) {
				return "", fmt.Errorf("the class %.40q holds the separator %q of --label-sep; choose another", name, c.sep)
			}
			labels = append(labels, name)
		case "0", "0.0", "false", "":
		default:
			if first {
				return "", fmt.Errorf("no column label, and %.40q is %.40q, where a column of a class would hold 0 or 1; call "+
					"the column of the labels label", c.names[i], rec[i])
			}
			return "", fmt.Errorf("column %.40q is %.40q; a column of a class holds 0 or 1", c.names[i], rec[i])
		}
	}
	if c.sep == "" && len(labels) != 1 && (len(labels) > 1 || split != "test") {
		return "", fmt.Errorf("%s set, not one; for several labels a photograph, or none, add --label-sep ';'",
			plural.Of(len(labels), "class is", "classes are"))
	}
	return strings.Join(labels, c.sep), nil
}
