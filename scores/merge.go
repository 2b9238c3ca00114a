package scores

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

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
					return failure.Data(&disorder{fmt.Errorf("scores: %s: row %q does not follow %q of %s; give each part of one scoring once", name, key, last, lastPart)})
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
			return failure.Data(&disorder{errors.New("scores: some parts have formulas escaped, others not; score them with the same flags")})
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
			return nil, failure.Usage(fmt.Errorf("scores: %s: the parts and the whole have one format, here %s", p, format))
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
			return nil, failure.Data(fmt.Errorf("scores: %s: other columns than %s; merge parts of one scoring", name, parts[0]))
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

// jsonPart hands lines through: a Row is the line and, as its key, the first value.
type jsonPart struct {
	f    *os.File
	head []Column
}

const maxLine = 64 << 20

func openJSON(name string) (part, error) {
	f, err := openFile(name)
	if err != nil {
		return nil, err
	}
	return &jsonPart{f: f}, nil
}

func (p *jsonPart) columns() []Column                { return p.head }
func (p *jsonPart) close() error                     { return p.f.Close() }
func (p *jsonPart) key(r Row) string                 { return r[1].Text }
func (p *jsonPart) sink(w io.Writer) (writer, error) { return lines{w}, nil }

func (p *jsonPart) each(yield func(Row) error) error {
	in := bufio.NewScanner(p.f)
	in.Buffer(make([]byte, 1<<16), maxLine)
	for n := 1; in.Scan(); n++ {
		names, first, err := object(in.Bytes())
		if err == nil && p.head == nil {
			p.head = names
		} else if err == nil && !slices.Equal(names, p.head) {
			err = errors.New("other keys than the lines before")
		}
		if err != nil {
			return damaged(p.f.Name(), fmt.Errorf("line %d: %w", n, err))
		}
		if err := yield(Row{{Text: in.Text()}, {Text: first}}); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return damaged(p.f.Name(), err)
	}
	return nil
}

// object lists the keys of a line and its first value, a string.
func object(line []byte) (names []Column, first string, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, "", errors.New("not a JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, "", err
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, "", err
		}
		s, ok := v.(string)
		if len(names) == 0 {
			if !ok {
				return nil, "", errors.New("the first value is not a text")
			}
			first = s
		}
		names = append(names, Column{Name: key.(string)})
	}
	if _, err := d.Token(); err != nil {
		return nil, "", err
	}
	if len(names) == 0 {
		return nil, "", errors.New("an empty object")
	}
	return names, first, nil
}

// lines writes the first cell of a row as a line.
type lines struct{ io.Writer }

func (l lines) write(r Row) error {
	_, err := io.WriteString(l, r[0].Text+"\n")
	return err
}

func (lines) close() error { return nil }

// parquetPart reads a file of ours, a group of rows at a time.
type parquetPart struct {
	name string
	f    *file.Reader
	r    *pqarrow.FileReader
	head []Column
}

// gaveUp turns a panic of the Parquet decoder, which indexes before it checks,
// into an error about the file.
func gaveUp(name string, err *error) {
	if r := recover(); r != nil {
		*err = damaged(name, fmt.Errorf("the decoder gave up (%v)", r))
	}
}

func openParquet(name string) (opened part, err error) {
	in, err := openFile(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil { // also after a panic, which leaves nobody else to close it
			in.Close()
		}
	}()
	defer gaveUp(name, &err)
	f, err := file.NewParquetReader(in)
	if err != nil {
		return nil, damaged(name, err)
	}
	p := &parquetPart{name: name, f: f}
	if p.r, err = pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 1 << 12}, memory.DefaultAllocator); err == nil {
		err = p.readHead()
	}
	if err != nil {
		return nil, damaged(name, err)
	}
	return p, nil
}

func (p *parquetPart) readHead() error {
	schema, err := p.r.Schema()
	if err != nil {
		return err
	}
	for _, f := range schema.Fields() {
		switch f.Type.ID() {
		case arrow.STRING:
			p.head = append(p.head, Column{Name: f.Name})
		case arrow.FLOAT32:
			p.head = append(p.head, Column{f.Name, true})
		default:
			return fmt.Errorf("column %s is a %s; scores have texts and float32", f.Name, f.Type)
		}
	}
	if len(p.head) == 0 || p.head[0].Number {
		return errors.New("its first column holds no texts")
	}
	return nil
}

func (p *parquetPart) columns() []Column                { return p.head }
func (p *parquetPart) close() error                     { return p.f.Close() }
func (p *parquetPart) key(r Row) string                 { return r[0].Text }
func (p *parquetPart) sink(w io.Writer) (writer, error) { return newParquetWriter(w, p.head) }

func (p *parquetPart) each(yield func(Row) error) (err error) {
	defer gaveUp(p.name, &err)
	records, err := p.r.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return damaged(p.name, err)
	}
	defer records.Release()
	row := make(Row, len(p.head))
	for records.Next() {
		record := records.RecordBatch()
		for i := range int(record.NumRows()) {
			for k := range p.head {
				row[k] = cell(record.Column(k), i)
			}
			if err := yield(row); err != nil {
				return err
			}
		}
	}
	if err := records.Err(); err != nil && err != io.EOF {
		return damaged(p.name, err)
	}
	return nil
}

func cell(a arrow.Array, i int) Cell {
	switch a := a.(type) {
	case *array.String:
		return Cell{Text: strings.Clone(a.Value(i))}
	case *array.Float32:
		if a.IsNull(i) {
			return Cell{Number: None}
		}
		return Cell{Number: a.Value(i)}
	}
	panic("a column of another type than the schema says")
}
