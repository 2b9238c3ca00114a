package scores

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/failure"
)

// Format is how a table is written.
type Format string

// The formats, which are also the endings of their files.
const (
	CSV     Format = ".csv"
	JSONL   Format = ".jsonl"
	Parquet Format = ".parquet"
)

// FormatOf tells a format by the ending of path. Errors are failure.Usage.
func FormatOf(path string) (Format, error) {
	switch f := Format(strings.ToLower(filepath.Ext(path))); f {
	case CSV, JSONL, Parquet:
		return f, nil
	}
	return "", failure.Usage(fmt.Errorf("scores: %s: the name must end in .csv, .jsonl or .parquet", path))
}

// writer takes rows one after the other.
type writer interface {
	write(Row) error
	close() error
}

// Write creates or replaces path, whole or not at all, with the rows that each
// hands to its argument. Where escape is set, texts of a CSV that a spreadsheet
// would take for a formula get an apostrophe before them.
func Write(path string, columns []Column, each func(yield func(Row) error) error, escape bool) error {
	format, err := FormatOf(path)
	if err != nil {
		return err
	}
	return durable.Write(path, func(out io.Writer) error { return WriteTo(out, format, columns, each, escape) })
}

func newWriter(out io.Writer, format Format, columns []Column, escape bool) (writer, error) {
	switch format {
	case CSV:
		return newCSVWriter(out, columns, escape)
	case JSONL:
		return &jsonWriter{out: bufio.NewWriter(out), keys: keys(columns), columns: columns}, nil
	}
	return newParquetWriter(out, columns)
}

// csvWriter follows RFC 4180 with \n at the end of lines.
type csvWriter struct {
	w       *csv.Writer
	columns []Column
	escape  bool
	record  []string
}

func newCSVWriter(out io.Writer, columns []Column, escape bool) (*csvWriter, error) {
	w := &csvWriter{csv.NewWriter(out), columns, escape, make([]string, len(columns))}
	for i, c := range columns {
		w.record[i] = w.text(c.Name)
	}
	return w, w.w.Write(w.record)
}

func (w *csvWriter) write(r Row) error {
	for i, c := range w.columns {
		if c.Number {
			w.record[i] = number(r[i].Number)
		} else {
			w.record[i] = w.text(r[i].Text)
		}
	}
	return w.w.Write(w.record)
}

func (w *csvWriter) close() error {
	w.w.Flush()
	return w.w.Error()
}

// text disarms what a spreadsheet would run.
// Source: OWASP, CSV injection.
func (w *csvWriter) text(s string) string {
	if w.escape {
		return Disarm(s)
	}
	return s
}

// Disarm puts an apostrophe before a text that a spreadsheet would take for a
// formula, or that Rearm would take for one so changed. Numbers stay as they are.
func Disarm(s string) string {
	if formula(strings.TrimLeft(s, "'")) {
		return "'" + s
	}
	return s
}

// Rearm undoes Disarm.
func Rearm(s string) string {
	if strings.HasPrefix(s, "'") && formula(strings.TrimLeft(s, "'")) {
		return s[1:]
	}
	return s
}

var plainNumber = regexp.MustCompile(`^[+-][0-9]+([.,][0-9]+)?$`)

// formula reports whether a spreadsheet would run s.
func formula(s string) bool {
	return s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0 && !plainNumber.MatchString(s)
}

// Formulas are the names that a spreadsheet would take for formulas.
func Formulas(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool { return Disarm(s) == s })
}

// number has the fewest digits that give the same float32; None is empty.
func number(v float32) string {
	if math.IsNaN(float64(v)) {
		return ""
	}
	return strconv.FormatFloat(float64(v), 'g', -1, 32)
}

// jsonWriter writes an object a line, keys in the order of columns.
type jsonWriter struct {
	out     *bufio.Writer
	columns []Column
	keys    [][]byte
}

func keys(columns []Column) [][]byte {
	var list [][]byte
	for _, c := range columns {
		list = append(list, append(quoted(c.Name), ':'))
	}
	return list
}

func (w *jsonWriter) write(r Row) error {
	w.out.WriteByte('{')
	for i, c := range w.columns {
		if i > 0 {
			w.out.WriteByte(',')
		}
		w.out.Write(w.keys[i])
		switch {
		case !c.Number:
			w.out.Write(quoted(r[i].Text))
		case math.IsNaN(float64(r[i].Number)):
			w.out.WriteString("null")
		default:
			w.out.WriteString(number(r[i].Number))
		}
	}
	_, err := w.out.WriteString("}\n")
	return err
}

func (w *jsonWriter) close() error { return w.out.Flush() }

func quoted(s string) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // strings always encode
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}
