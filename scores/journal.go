package scores

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/lock"
	"finetune/internal/plural"
)

// Journal keeps the rows of a table that is not complete, in the folder
// OUT.journal beside it: key.json and chunks of rows in order, each of which
// appears by rename and ends with its CRC-32C. A process that was killed loses at most a chunk.
type Journal struct {
	dir     string
	columns []Column
	lock    *lock.Lock
	rows    []int // of each chunk
}

// journalKey is the content of key.json.
type journalKey struct {
	Format  int      `json:"format"`
	Key     any      `json:"key"`
	Columns []Column `json:"columns"`
}

// OpenJournal takes up the journal of out if it was kept under an equal key and
// for equal columns, and starts an empty one otherwise. key names all that the
// rows depend on; it must marshal to JSON. Another process that writes the same
// out is a failure.Usage. Owned by the caller: the Journal, freed by Close or Remove.
//
// A folder called OUT.journal that holds anything else is an error; noLock does
// without a lock where the file system has none.
func OpenJournal(out string, columns []Column, key any, noLock bool) (*Journal, error) {
	j := &Journal{dir: out + ".journal", columns: columns}
	if err := j.checkOwn(); err != nil {
		return nil, err
	}
	l, err := j.take(out, noLock)
	switch {
	case errors.Is(err, lock.ErrBusy):
		return nil, failure.Usage(fmt.Errorf("scores: %s: another process is writing it; wait for it, or name another file",
			out))
	case lock.Unsupported(err):
		return nil, fmt.Errorf("scores: %w; or add --no-lock and make sure that no other process writes %s", err, out)
	case err != nil:
		return nil, fmt.Errorf("scores: %w", err)
	}
	j.lock = l
	durable.Sweep(filepath.Dir(out), func(name string) bool { return name == filepath.Base(out) })
	if err := j.open(key); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// take makes the folder and takes its lock. Another process may have finished in
// the meantime and removed both.
func (j *Journal) take(out string, noLock bool) (l *lock.Lock, err error) {
	for range 5 {
		if err = os.MkdirAll(j.dir, 0o777); err == nil {
			l, err = lock.Take(filepath.Join(j.dir, "lock"), out, noLock)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return l, err
}

func (j *Journal) open(key any) error {
	want, err := json.MarshalIndent(journalKey{1, key, j.columns}, "", "  ")
	if err != nil {
		return fmt.Errorf("scores: %s: %w", j.dir, err)
	}
	have, err := os.ReadFile(filepath.Join(j.dir, "key.json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return unreadable(err, j.dir)
	}
	if string(have) != string(want) {
		if err := j.empty(); err != nil {
			return err
		}
		return durable.WriteFile(filepath.Join(j.dir, "key.json"), want)
	}
	for {
		n := 0
		err := j.chunk(len(j.rows), func(Row) error { n++; return nil })
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if p := new(fs.PathError); errors.As(err, &p) { // its rows may be sound
			return unreadable(p, j.dir)
		}
		if err != nil { // damaged: it and what follows are done again
			return j.drop(len(j.rows))
		}
		j.rows = append(j.rows, n)
	}
}

// unreadable is the error of a journal that may be sound, and so is not emptied.
func unreadable(err error, dir string) error {
	return fmt.Errorf("scores: rows that are scored already cannot be read: %w; run the command again, or remove "+
		"%s to score all files again", err, dir)
}

// ownName is the name of a file of a journal.
var ownName = regexp.MustCompile(`^(lock|key\.json|rows-[0-9]{9})$`)

// checkOwn refuses a folder in which there is anything but a journal.
func (j *Journal) checkOwn() error {
	entries, err := durable.Entries(j.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return failure.Usage(fmt.Errorf("scores: %w; name another file", err))
	}
	for _, e := range entries {
		own := ownName.MatchString(e.Name()) || durable.Temporary(e.Name(), ownName.MatchString)
		if !own || !e.Type().IsRegular() {
			return failure.Usage(fmt.Errorf("scores: %s: holds %s, which is no part of a journal; move it, or name another file",
				j.dir, e.Name()))
		}
	}
	return nil
}

// empty removes everything but the lock, key.json before the chunks.
func (j *Journal) empty() error {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return fmt.Errorf("scores: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "lock" {
			if err := durable.Remove(filepath.Join(j.dir, e.Name())); err != nil {
				return fmt.Errorf("scores: %w", err)
			}
		}
	}
	return nil
}

// drop removes the chunks from the given one on, the last one first: whenever
// it is interrupted, what is left has no gap.
func (j *Journal) drop(from int) error {
	end := from
	for ; ; end++ {
		if _, err := os.Stat(j.path(end)); err != nil {
			break
		}
	}
	for i := end - 1; i >= from; i-- {
		if err := durable.Remove(j.path(i)); err != nil {
			return fmt.Errorf("scores: %w", err)
		}
	}
	return nil
}

func (j *Journal) path(chunk int) string {
	return filepath.Join(j.dir, fmt.Sprintf("rows-%09d", chunk))
}

// Len is the number of rows kept.
func (j *Journal) Len() int {
	n := 0
	for _, r := range j.rows {
		n += r
	}
	return n
}

// Append keeps rows, all of them or none.
func (j *Journal) Append(rows []Row) error {
	var b []byte
	for _, r := range rows {
		b = j.encode(b, r)
	}
	b = binary.LittleEndian.AppendUint32(b, digest.CRC32C(b))
	if err := durable.WriteFile(j.path(len(j.rows)), b); err != nil {
		return fmt.Errorf("scores: %w", err)
	}
	j.rows = append(j.rows, len(rows))
	return nil
}

// encode appends a row: for each text its length and bytes, for each number its bits.
func (j *Journal) encode(b []byte, r Row) []byte {
	for i, c := range j.columns {
		if c.Number {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(r[i].Number))
		} else {
			b = append(binary.AppendUvarint(b, uint64(len(r[i].Text))), r[i].Text...)
		}
	}
	return b
}

// Rows hands all rows to yield, in order, until it returns an error. The row is
// valid during the call.
func (j *Journal) Rows(yield func(Row) error) error {
	for i := range j.rows {
		if err := j.chunk(i, yield); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) chunk(i int, yield func(Row) error) error {
	b, err := os.ReadFile(j.path(i))
	if err != nil {
		return fmt.Errorf("scores: %w", err)
	}
	n := len(b) - 4
	if n < 0 || digest.CRC32C(b[:n]) != binary.LittleEndian.Uint32(b[n:]) {
		return fmt.Errorf("scores: %s: damaged: wrong checksum; score again", j.path(i))
	}
	in, row := bytes.NewReader(b[:n]), make(Row, len(j.columns))
	for in.Len() > 0 {
		if err := j.decode(in, row); err != nil {
			return fmt.Errorf("scores: %s: damaged: %w", j.path(i), err)
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}

const maxText = 1 << 20 // bytes in a cell

func (j *Journal) decode(in *bytes.Reader, row Row) error {
	for i, c := range j.columns {
		if c.Number {
			var b [4]byte
			if _, err := io.ReadFull(in, b[:]); err != nil {
				return err
			}
			row[i] = Cell{Number: math.Float32frombits(binary.LittleEndian.Uint32(b[:]))}
			continue
		}
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return err
		}
		if n > maxText {
			return fmt.Errorf("a text of %s", plural.Count(n, "byte"))
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return err
		}
		row[i] = Cell{Text: string(b)}
	}
	return nil
}

// Close lets other processes have the journal and keeps its rows. Twice is fine.
func (j *Journal) Close() error { return j.lock.Close() }

// Remove deletes the journal, once its table is written. What another process has
// begun in its place by then stays.
func (j *Journal) Remove() error {
	if err := j.empty(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, j.Close())
	}
	file := filepath.Join(j.dir, "lock")
	if runtime.GOOS == "windows" { // which removes no file that is open; another process may have opened it
		err := j.Close()
		_ = os.Remove(file)
		_ = os.Remove(j.dir)
		return err
	}
	err := errors.Join(durable.Remove(file), j.Close())
	_ = os.Remove(j.dir) // fails, as it should, where another process is in it
	return err
}
