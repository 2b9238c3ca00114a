package scores

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

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
