package journal

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/lock"
	"finetune/internal/plural"
)

// maxBytes is as much as a labels file may hold.
const maxBytes = 256 << 20

// Row is a line of the file.
type Row struct {
	Path   string `json:"path"` // relative to the photographs' folder, with slashes
	Label  string `json:"label"`
	Who    string `json:"who"`
	When   string `json:"when"` // RFC 3339; equal in rows that were said together
	Source string `json:"source"`
}

func (r Row) cells() []string { return []string{r.Path, r.Label, r.Who, r.When, r.Source} }

// Journal is the open file. Any number of goroutines use it; other processes are kept out.
type Journal struct {
	path string
	held *lock.Lock

	mu   sync.Mutex
	rows []Row
	size int64       // of the file as this process left it
	last os.FileInfo // likewise
}

// Open reads the file at path, which need not exist, and keeps other processes out until Close. A last
// line that a crash left half written is taken off.
//
// Errors: a file of another form, and one that another process has open.
func Open(path string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	held, err := lock.Take(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock"), path, true)
	if err != nil {
		return nil, fmt.Errorf("labels: %w; another studio has it open: close that one, or write elsewhere with -o DIR", err)
	}
	j := &Journal{path: path, held: held}
	if err := j.read(); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return j, nil
}

// Close lets other processes in.
func (j *Journal) Close() error { return j.held.Close() }

// Path is the file's.
func (j *Journal) Path() string { return j.path }

// Rows are all rows, the oldest first.
func (j *Journal) Rows() []Row {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.rows)
}

// Append adds rows. When it returns they are on the disk, all of them; after an error none is.
func (j *Journal) Append(rows ...Row) error {
	if len(rows) == 0 {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	info, err := os.Stat(j.path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // it is new, or somebody removed it: nothing that was said is lost
		err = j.write(append(slices.Clip(j.rows), rows...))
	case err == nil && !j.own(info): // somebody edited it: what they wrote counts
		if err = j.read(); err == nil {
			err = j.add(rows)
		}
	case err == nil:
		err = j.add(rows)
	}
	if err != nil {
		return fmt.Errorf("labels: %w; the label was not kept: free the disk or mend the file, then label again", err)
	}
	return nil
}

// own reports whether the file is as this process left it.
func (j *Journal) own(now os.FileInfo) bool {
	return j.last != nil && os.SameFile(now, j.last) && now.Size() == j.size && now.ModTime().Equal(j.last.ModTime())
}

// add writes rows behind the others.
func (j *Journal) add(rows []Row) (err error) {
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	text := encode(rows)
	n, err := f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		if n > 0 { // a part of them must not stay
			err = errors.Join(err, f.Truncate(j.size), f.Sync())
		}
		return errors.Join(err, f.Close())
	}
	j.size += int64(len(text))
	j.rows = append(j.rows, rows...)
	j.last, err = f.Stat()
	return errors.Join(err, f.Close())
}

// write replaces the file.
func (j *Journal) write(rows []Row) error {
	text := append(encode([]Row{{"path", "label", "who", "when", "source"}}), encode(rows)...)
	if err := durable.WriteFile(j.path, text); err != nil {
		return err
	}
	j.rows, j.size = rows, int64(len(text))
	var err error
	j.last, err = os.Stat(j.path)
	return err
}

func encode(rows []Row) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for _, r := range rows {
		_ = w.Write(r.cells()) // a buffer takes all
	}
	w.Flush()
	return b.Bytes()
}

// read takes the rows from the file.
func (j *Journal) read() error {
	data, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	if len(data) > maxBytes {
		return failure.Data(fmt.Errorf("labels: %s: more than %d MB", j.path, maxBytes>>20))
	}
	rows, whole, err := parse(data)
	if err != nil {
		return failure.Data(fmt.Errorf("labels: %s%w", j.path, err))
	}
	j.rows, j.size = rows, int64(len(data))
	if !whole {
		return j.write(rows)
	}
	j.last, err = os.Stat(j.path)
	return err
}

// parse reads rows; whole is false where the last line was cut off, and left out. Errors begin
// with ":LINE: ".
func parse(data []byte) (rows []Row, whole bool, err error) {
	text := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	whole = len(text) > 0 && text[len(text)-1] == '\n'
	if !whole && !complete(text[bytes.LastIndexByte(text, '\n')+1:]) {
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	if !utf8.Valid(text) {
		return nil, whole, errors.New(":1: not UTF-8 text; save it as UTF-8")
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	for {
		cells, err := r.Read()
		if err == io.EOF {
			return rows, whole, nil
		}
		var p *csv.ParseError
		if errors.As(err, &p) {
			return nil, whole, fmt.Errorf(":%d: %w; mend that line", p.StartLine, p.Err)
		}
		line, _ := r.FieldPos(0)
		switch {
		case line == 1 && !slices.Equal(cells, Header):
			return nil, whole, fmt.Errorf(":1: the header is %.60q, not %s; write elsewhere with -o DIR",
				strings.Join(cells, ","), strings.Join(Header, ","))
		case line == 1:
		case len(cells) != len(Header):
			return nil, whole, fmt.Errorf(":%d: %s, not %d; mend that line", line, plural.Count(len(cells), "cell"), len(Header))
		default:
			rows = append(rows, Row{cells[0], cells[1], cells[2], cells[3], cells[4]})
		}
	}
}

// complete reports whether a last line without an end, as editors leave it too, is a whole row.
func complete(line []byte) bool {
	cells, err := csv.NewReader(bytes.NewReader(line)).Read()
	return err == nil && len(cells) == len(Header) && slices.Contains(sources, cells[len(cells)-1])
}

// Now is what rows say in the end, at most one a photograph.
func (j *Journal) Now() []Row {
	return Settle(j.Rows(), func(r Row) (string, string) { return r.Path, r.Source })
}
