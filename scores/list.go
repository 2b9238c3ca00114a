package scores

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
)

// maxList bounds a list of paths that is read from a pipe.
const maxList = 1 << 30

// List reads paths to score, one a line, or ended by NUL bytes as `find -print0`
// writes them, and sorts them. A path given twice is scored once, with a warning.
func List(r io.Reader) (items []dataset.Item, warnings []string, err error) {
	return list(r, maxList)
}

// list is List of at most limit bytes.
func list(r io.Reader, limit int64) (items []dataset.Item, warnings []string, err error) {
	in := &io.LimitedReader{R: r, N: limit + 1}
	err = EachPath(in, "standard input", func(path string) error {
		file := filepath.FromSlash(naming.UnescapePath(path))
		items = append(items, dataset.Item{Path: path, File: file, Label: -1})
		return nil
	})
	if in.N == 0 {
		return nil, nil, failure.Usage(fmt.Errorf("scores: standard input: more than %d MB of paths; score it in parts",
			limit>>20))
	}
	if err != nil {
		return nil, nil, err
	}
	if len(items) == 0 {
		return nil, nil, failure.Data(fmt.Errorf("scores: standard input: no paths; pipe a list into it, as in `find " +
			"photos -name '*.jpg' | finetune score MODEL - -o out.csv`"))
	}
	slices.SortStableFunc(items, func(a, b dataset.Item) int { return strings.Compare(a.Path, b.Path) })
	n := len(items)
	items = slices.CompactFunc(items, func(a, b dataset.Item) bool { return a.Path == b.Path })
	if n > len(items) {
		warnings = append(warnings, fmt.Sprintf("scores: standard input: %s given more than once",
			plural.Of(n-len(items), "path was", "paths were")))
	}
	return items, warnings, nil
}

// EachPath hands over the paths of such a list as they are written into a table, in their
// own order and as often as they come: memory does not grow with their number. name is
// what the list is called in messages.
func EachPath(r io.Reader, name string, yield func(path string) error) error {
	in := bufio.NewReaderSize(r, 1<<16)
	head, err := in.Peek(1 << 16) // a path is shorter, so that its end is there
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("scores: %s: %w", name, err)
	}
	text, err := withoutMark(head)
	if err != nil {
		return err
	}
	_, _ = in.Discard(len(head) - len(text)) // it was there a moment ago
	end := byte('\n')
	if bytes.IndexByte(text, 0) >= 0 {
		end = 0
	}
	for {
		line, err := in.ReadSlice(end)
		if err != nil && !errors.Is(err, io.EOF) {
			return failure.Data(fmt.Errorf("scores: %s: a path that does not end within %d bytes: %w; write one a line", name,
				1<<16, err))
		}
		p := strings.TrimSuffix(string(line), string(end))
		if end == '\n' {
			p = strings.TrimSuffix(p, "\r")
		}
		switch {
		case strings.Contains(p, "\x00"):
			return failure.Data(fmt.Errorf("scores: %s: a NUL byte within a path, %.60q; end each path with a line, or each "+
				"with NUL", name, p))
		case p != "":
			if err := yield(naming.EscapePath(filepath.ToSlash(p))); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// withoutMark drops the byte order mark that Windows writes before text.
func withoutMark(data []byte) ([]byte, error) {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(data, []byte(mark)) {
			return nil, failure.Data(errors.New("scores: standard input: UTF-16 text; write the list as UTF-8"))
		}
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

// SortByID orders items by the ids that Kaggle's form has. Two files with one
// id, a.jpg and a.png, are failure.Data.
func SortByID(items []dataset.Item) error {
	slices.SortStableFunc(items, func(a, b dataset.Item) int { return strings.Compare(ID(a.Path), ID(b.Path)) })
	for i := 1; i < len(items); i++ {
		if ID(items[i].Path) == ID(items[i-1].Path) {
			return OneID(items[i-1].Path, items[i].Path)
		}
	}
	return nil
}

// OneID is the error of two paths whose ids are the same, failure.Data.
func OneID(a, b string) error {
	return failure.Data(fmt.Errorf("scores: %s and %s have one id; rename one", a, b))
}
