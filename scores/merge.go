package scores

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/failure"
)

// Merge writes out from the parts that shards of one folder wrote, in any order:
// byte for byte the file that one run over all of it writes. All have out's
// format. It returns the number of rows.
//
// The first column orders the rows; parts that overlap, or have other columns
// than the first, are failure.Data.
func Merge(out string, parts []string) (rows int, err error) {
	escaped := &apostrophes{}
	rows, err = merge(out, parts, escaped)
	if errors.As(err, new(*disorder)) && escaped.undone { // they are the paths' own
		n, again := merge(out, parts, &apostrophes{own: true})
		if !errors.As(again, new(*disorder)) {
			return n, again
		}
	}
	return rows, err
}

// apostrophes say how a CSV's paths that begin with one are read. Nothing in the
// file tells whether Write put it there.
type apostrophes struct {
	own    bool // it is part of the path
	undone bool // one was taken off
	bare   bool // a formula was seen without one, so none was put anywhere
}

// disorder is the error of rows that do not follow each other.
type disorder struct{ error }

func merge(out string, parts []string, a *apostrophes) (rows int, err error) {
	format, err := FormatOf(out)
	if err != nil {
		return 0, err
	}
	open, err := opener(format, parts, a)
	if err != nil {
		return 0, err
	}
	ordered, err := order(open, parts)
	if err != nil {
		return 0, err
	}
	err = durable.Write(out, func(w io.Writer) error {
		var sink writer
		last, lastPart := "", ""
		for i, name := range ordered {
			p, err := open(name)
			if err != nil {
				return err
			}
			if i == 0 {
				if sink, err = p.sink(w); err != nil {
					return errors.Join(err, p.close())
				}
			}
			err = p.each(func(r Row) error {
				key := p.key(r)
				if rows > 0 && key <= last {
					return failure.Data(&disorder{fmt.Errorf("scores: %s: row %q does not follow %q of %s; give "+
						"each part of one job once", name, key, last, lastPart)})
				}
				last, lastPart = key, name
				rows++
				return sink.write(r)
			})
			if err := errors.Join(err, p.close()); err != nil {
				return err
			}
		}
		if a.undone && a.bare {
			return failure.Data(&disorder{errors.New("scores: some parts have formulas escaped, others not; score them with " +
				"the same flags")})
		}
		return sink.close()
	})
	return rows, err
}

// part is a table that is read back.
type part interface {
	columns() []Column
	each(yield func(Row) error) error
	sink(w io.Writer) (writer, error) // writes the rows that each yields
	key(Row) string                   // what rows are sorted by
	close() error
}

// opener returns what opens a part of the format.
func opener(format Format, parts []string, a *apostrophes) (func(name string) (part, error), error) {
	if len(parts) == 0 {
		return nil, failure.Usage(errors.New("scores: no parts to merge"))
	}
	for _, p := range parts {
		if f, err := FormatOf(p); err != nil {
			return nil, err
		} else if f != format {
			return nil, failure.Usage(fmt.Errorf("scores: %s: the parts and the output must have the same format, "+
				"here %s", p, format))
		}
	}
	return map[Format]func(string) (part, error){CSV: a.openCSV, JSONL: openJSON, Parquet: openParquet}[format], nil
}

// order sorts parts by their first rows and compares columns. Where parts without rows stand does not matter.
func order(open func(string) (part, error), parts []string) ([]string, error) {
	type first struct{ name, key string }
	var list []first
	var columns []Column
	for _, name := range parts {
		p, err := open(name)
		if err != nil {
			return nil, err
		}
		f := first{name: name}
		err = p.each(func(r Row) error { f.key = p.key(r); return io.EOF })
		if err == io.EOF {
			err = nil
		}
		if err := errors.Join(err, p.close()); err != nil {
			return nil, err
		}
		switch c := p.columns(); {
		case columns == nil:
			columns = c
		case c != nil && !slices.Equal(c, columns):
			return nil, failure.Data(fmt.Errorf("scores: %s: its columns differ from those of %s; merge parts of "+
				"one job", name, parts[0]))
		}
		list = append(list, f)
	}
	slices.SortStableFunc(list, func(a, b first) int { return strings.Compare(a.key, b.key) })
	names := make([]string, len(list))
	for i, f := range list {
		names[i] = f.name
	}
	return names, nil
}

func openFile(name string) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, failure.Usage(fmt.Errorf("scores: %w", err))
	}
	return f, nil
}

func damaged(name string, err error) error {
	return failure.Data(fmt.Errorf("scores: %s: %w; score this part again", name, err))
}

// csvPart reads every cell as text, so that numbers keep their digits.
type csvPart struct {
	f    *os.File
	in   *csv.Reader
	head []Column
	a    *apostrophes
}

func (a *apostrophes) openCSV(name string) (part, error) {
	f, err := openFile(name)
	if err != nil {
		return nil, err
	}
	p := &csvPart{a: a, f: f, in: csv.NewReader(bufio.NewReaderSize(f, 1<<16))}
	p.in.ReuseRecord = true
	header, err := p.in.Read()
	if err != nil {
		f.Close()
		return nil, damaged(name, fmt.Errorf("no header: %w", err))
	}
	if len(header) < 2 { // of one column an empty cell would be an empty line, which CSV skips
		f.Close()
		return nil, damaged(name, fmt.Errorf("one column, %q; scores have more", header[0]))
	}
	for _, h := range header {
		p.head = append(p.head, Column{Name: h})
	}
	return p, nil
}

func (p *csvPart) columns() []Column { return p.head }
func (p *csvPart) close() error      { return p.f.Close() }

func (p *csvPart) sink(w io.Writer) (writer, error) { return newCSVWriter(w, p.head, false) }

// key undoes the apostrophe of an escaped formula, which would change the order.
func (p *csvPart) key(r Row) string {
	s := Rearm(r[0].Text)
	if p.a.own {
		return r[0].Text
	}
	p.a.undone = p.a.undone || s != r[0].Text
	p.a.bare = p.a.bare || formula(r[0].Text)
	return s
}

func (p *csvPart) each(yield func(Row) error) error {
	row := make(Row, len(p.head))
	for {
		record, err := p.in.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return damaged(p.f.Name(), err)
		}
		for i, v := range record {
			row[i].Text = v
		}
		if err := yield(row); err != nil {
			return err
		}
	}
}
