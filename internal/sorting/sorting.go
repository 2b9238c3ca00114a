// Package sorting sorts more texts than fit into memory.
//
// Texts are kept in memory up to a limit, then sorted and moved to a temporary file; at the
// end the files are merged. The files have no name while they are used, where the system
// allows that, so that a kill leaves none behind.
package sorting

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Memory is what a Sorter holds, in bytes, before it moves texts to a file.
const Memory = 64 << 20

const overhead = 32 // bytes of a text besides its own

// Sorter takes texts in any order. Its zero value is ready; Close it.
type Sorter struct {
	Limit int // bytes in memory; 0: Memory
	texts []string
	held  int
	files []*os.File
}

// Add takes a text.
func (s *Sorter) Add(text string) error {
	s.texts, s.held = append(s.texts, text), s.held+len(text)+overhead
	limit := s.Limit
	if limit == 0 {
		limit = Memory
	}
	if s.held < limit {
		return nil
	}
	return s.spill()
}

// spill moves the texts to a file.
func (s *Sorter) spill() error {
	f, err := os.CreateTemp("", "finetune-sort-")
	if err != nil {
		return fmt.Errorf("sorting: %w; TMPDIR names a folder with room for the whole list", err)
	}
	_ = os.Remove(f.Name()) // where an open file has to keep its name, Close removes it
	s.files = append(s.files, f)
	slices.Sort(s.texts)
	w := bufio.NewWriterSize(f, 1<<18)
	for _, text := range s.texts {
		_, _ = w.Write(binary.AppendUvarint(nil, uint64(len(text)))) // Flush returns the first error
		_, _ = w.WriteString(text)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sorting: %w; TMPDIR names a folder with room for the whole list", err)
	}
	s.texts, s.held = s.texts[:0], 0
	return nil
}

// Each hands the texts over in the order of their bytes, each once, and returns how many
// had come before. It may be called again, and nothing be added after.
func (s *Sorter) Each(yield func(text string) error) (again int, err error) {
	slices.Sort(s.texts)
	rest := s.texts
	var runs runs
	for _, f := range s.files {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, fmt.Errorf("sorting: %w", err)
		}
		in := bufio.NewReaderSize(f, 1<<16)
		if runs, err = runs.add(&run{next: func() (string, error) { return read(in) }}); err != nil {
			return 0, err
		}
	}
	runs, err = runs.add(&run{next: func() (string, error) {
		if len(rest) == 0 {
			return "", io.EOF
		}
		text := rest[0]
		rest = rest[1:]
		return text, nil
	}})
	if err != nil {
		return 0, err
	}
	heap.Init(&runs)
	last, any := "", false
	for len(runs) > 0 {
		text := runs[0].text
		if any && text == last {
			again++
		} else if err := yield(text); err != nil {
			return again, err
		}
		last, any = text, true
		switch err := runs[0].step(); {
		case errors.Is(err, io.EOF):
			heap.Pop(&runs)
		case err != nil:
			return again, err
		default:
			heap.Fix(&runs, 0)
		}
	}
	return again, nil
}

// Close frees the files.
func (s *Sorter) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
		_ = os.Remove(f.Name()) // mostly gone already
	}
	s.files, s.texts = nil, nil
	return errors.Join(errs...)
}

func read(in *bufio.Reader) (string, error) {
	n, err := binary.ReadUvarint(in)
	if errors.Is(err, io.EOF) {
		return "", io.EOF
	}
	if err != nil {
		return "", fmt.Errorf("sorting: a temporary file: %w", err)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return "", fmt.Errorf("sorting: a temporary file: %w", err)
	}
	return string(text), nil
}

// run is a sorted sequence and the text that it stands at.
type run struct {
	text string
	next func() (string, error)
}

func (r *run) step() (err error) {
	r.text, err = r.next()
	return err
}

// runs is a heap: the run with the least text comes first.
type runs []*run

// add puts a run there unless it is empty.
func (r runs) add(one *run) (runs, error) {
	switch err := one.step(); {
	case errors.Is(err, io.EOF):
		return r, nil
	case err != nil:
		return r, err
	}
	return append(r, one), nil
}

func (r runs) Len() int           { return len(r) }
func (r runs) Less(i, j int) bool { return r[i].text < r[j].text }
func (r runs) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }

// Push implements heap.Interface.
func (r *runs) Push(x any) { *r = append(*r, x.(*run)) }

// Pop implements heap.Interface.
func (r *runs) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}
