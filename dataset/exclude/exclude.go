// Package exclude reads lists of photographs that are not to be used: a path a line, or a CSV
// file with a column path, such as rows of audit.csv.
package exclude

import (
	"bufio"
	"bytes"
	"crypto/sha256"
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

	"finetune/internal/failure"
	"finetune/internal/plural"
)

const (
	maxBytes = 256 << 20
	column   = "path"
)

// List is a list of photographs. A nil List is empty.
type List struct {
	Name   string // of the file
	Digest string // SHA-256 of the file, in hex

	entries []entry
	at      map[string][]int // spelling -> entries
	used    []bool
}

type entry struct {
	text string
	line int
}

// Read reads the list in the file name, whose paths are relative to root; absolute ones, and ones
// that begin with root, are taken too.
//
// Errors name the file and the line.
func Read(name, root string) (*List, error) {
	data, err := read(name)
	if err != nil {
		return nil, fmt.Errorf("dataset: --exclude %s: %w", name, err)
	}
	l := &List{Name: name, Digest: fmt.Sprintf("%x", sha256.Sum256(data)), at: map[string][]int{}}
	if l.entries, err = parse(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))); err != nil {
		return nil, fmt.Errorf("dataset: --exclude %s%w", name, err)
	}
	l.used = make([]bool, len(l.entries))
	for i, e := range l.entries {
		for _, s := range spellings(e.text, root) {
			if !slices.Contains(l.at[s], i) {
				l.at[s] = append(l.at[s], i)
			}
		}
	}
	return l, nil
}

func read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w; it wants a file with a path a line, or a CSV file with the column path",
			failure.Reason(err))
	case !info.Mode().IsRegular() || info.Size() > maxBytes:
		return nil, fmt.Errorf("not a file of at most %d MB", maxBytes>>20)
	}
	data, err := os.ReadFile(name)
	return data, failure.Reason(err)
}

// parse reads lines, or the column path of a file whose first line names it. Errors begin with
// ":LINE: " or ": ".
func parse(data []byte) ([]entry, error) {
	if !utf8.Valid(data) {
		return nil, errors.New(": not UTF-8 text; save it as UTF-8")
	}
	head, _, _ := bytes.Cut(data, []byte("\n"))
	for _, comma := range ",;\t" {
		names := strings.Split(strings.TrimSpace(string(head)), string(comma))
		if at := slices.IndexFunc(names, named); at >= 0 {
			return cells(data, comma, at)
		}
	}
	var list []entry
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if text := strings.TrimSpace(lines.Text()); text != "" {
			list = append(list, entry{text, n})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf(": %w", err)
	}
	if len(list) == 0 {
		return nil, errors.New(": empty; leave --exclude out, or write a path a line")
	}
	return list, nil
}

func named(cell string) bool { return strings.Trim(strings.ToLower(cell), ` "`) == column }

func cells(data []byte, comma rune, at int) (list []entry, err error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = comma, -1, true
	for first := true; ; first = false {
		record, err := r.Read()
		if err == io.EOF {
			return list, nil // a header alone, as of an audit without findings, excludes nothing
		}
		var p *csv.ParseError
		if errors.As(err, &p) {
			return nil, fmt.Errorf(":%d: %w", p.StartLine, p.Err)
		}
		if err != nil {
			return nil, fmt.Errorf(": %w", err)
		}
		line, _ := r.FieldPos(0)
		if first {
			continue
		}
		if at >= len(record) {
			return nil, fmt.Errorf(":%d: %s, and no path among them; the header has it as number %d", line,
				plural.Count(len(record), "cell"), at+1)
		}
		if text := strings.TrimSpace(record[at]); text != "" { // of a class, or of the whole set
			list = append(list, entry{text, line})
		}
	}
}

// spellings are the relative paths that a cell may mean, in the form of dataset.Item.
func spellings(text, root string) []string {
	var out []string
	for _, t := range []string{text, strings.TrimPrefix(text, "'")} { // which tables put before formulas
		t = strings.TrimSpace(t)
		for _, p := range []string{t, strings.ReplaceAll(t, `\`, "/")} {
			out = append(out, path.Clean(p))
			if rel := below(root, p); rel != "" {
				out = append(out, rel)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// below is a path that is absolute, or relative to the current folder, as one relative to root; ""
// if it does not lie below root.
func below(root, p string) string {
	from, errRoot := filepath.Abs(root)
	to, err := filepath.Abs(filepath.FromSlash(p))
	if root == "" || errRoot != nil || err != nil {
		return ""
	}
	rel, err := filepath.Rel(from, to)
	if err != nil || !filepath.IsLocal(rel) || rel == "." {
		return ""
	}
	return filepath.ToSlash(rel)
}

// Has reports whether the list names the photograph of a path in the form of dataset.Item, and
// remembers that there is one.
func (l *List) Has(rel string) bool {
	if l == nil {
		return false
	}
	for _, i := range l.at[rel] {
		l.used[i] = true
	}
	return len(l.at[rel]) > 0
}

// Check is what is to be said once all photographs were asked for: an error where none of the paths was
// one, a warning that names those that were not, "" for nothing.
func (l *List) Check(data string) (warning string, err error) {
	if l == nil {
		return "", nil
	}
	var unknown []string
	for i, e := range l.entries {
		if !l.used[i] {
			unknown = append(unknown, fmt.Sprintf("%.80s (line %d)", e.text, e.line))
		}
	}
	n := len(unknown)
	switch {
	case n == 0:
		return "", nil
	case n == len(l.entries):
		return "", fmt.Errorf("dataset: --exclude %s: none of its %s is of a photograph in %s, the first is %s; "+
			"paths are relative to DATA, and a CSV file begins with a line that names the column path", l.Name,
			plural.Count(n, "path"), data, unknown[0])
	case n > 5:
		unknown = append(unknown[:5:5], "…")
	}
	return fmt.Sprintf("dataset: --exclude %s: %d of its %s %s of no photograph in %s: %s", l.Name, n,
		plural.Count(len(l.entries), "path"), plural.Form(n, "is", "are"), data, strings.Join(unknown, ", ")), nil
}
