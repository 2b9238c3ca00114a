package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/store"
	"finetune/scores"
)

// About is what a part says about itself, in the metadata of its file.
type About struct {
	Job    string         `json:"job"`    // ID
	Task   int            `json:"task"`   // its number
	Inputs string         `json:"inputs"` // SHA-256 of the task's file, in hex
	Rows   int            `json:"rows"`
	Status map[string]int `json:"status"`           // rows by status
	Groups map[string]int `json:"groups,omitempty"` // rows by group, where the job has groups
	CRC32C string         `json:"crc32c"`           // of the rows' cells, in hex
}

const (
	inMemory = 64 << 20  // bytes of a part that are read at once
	tail     = 256 << 10 // bytes of a part that are asked for first, to read its footer
	// again is the way out of each fault of a part.
	again = "delete it, or keep it elsewhere, and run the job again"
)

// errNoPart says that a part is not there yet.
var errNoPart = errors.New("not done yet")

// tailed reads a file of a store in ranges, the end of it once.
type tailed struct {
	ctx  context.Context
	s    store.Store
	name string
	from int64 // where end begins
	end  []byte
}

// ReadAt implements io.ReaderAt.
func (t *tailed) ReadAt(p []byte, off int64) (int, error) {
	if off < t.from {
		data, err := store.Range(t.ctx, t.s, t.name, off, int64(len(p)))
		return copy(p, data), err
	}
	n := 0
	if off < t.from+int64(len(t.end)) {
		n = copy(p, t.end[off-t.from:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// about reads what the part of task n says about itself, from its end alone. A part that
// is not there is errNoPart; one that is damaged, of another job or of other inputs is
// failure.Data.
func (j *Job) about(ctx context.Context, n int) (About, error) {
	e, err := j.store.Stat(ctx, partFile(n))
	if err != nil {
		return About{}, j.partError(n, err)
	}
	return j.describe(ctx, n, e.Size)
}

// describe is about for a part whose size is known.
func (j *Job) describe(ctx context.Context, n int, size int64) (About, error) {
	p, a, err := j.openPart(ctx, n, size, min(size, tail))
	if err != nil {
		return a, err
	}
	return a, p.Close()
}

// openPart opens the part of task n, of which the last bytes are read at once.
func (j *Job) openPart(ctx context.Context, n int, size, last int64) (*scores.Part, About, error) {
	end, err := store.Range(ctx, j.store, partFile(n), size-last, last)
	if err != nil {
		return nil, About{}, j.partError(n, err)
	}
	p, err := scores.OpenPart(&tailed{ctx, j.store, partFile(n), size - last, end}, size, partFile(n))
	if err != nil {
		return nil, About{}, j.partError(n, err)
	}
	a, err := j.claims(n, p)
	if err != nil {
		return nil, a, errors.Join(j.partError(n, err), p.Close())
	}
	return p, a, nil
}

// partRows hands over the rows of the part of task n.
func (j *Job) partRows(ctx context.Context, n int, visit func([]scores.Column, About) error,
	yield func(scores.Row) error) error {
	return j.withPart(ctx, n, func(p *scores.Part, a About) (uint32, error) {
		if err := visit(p.Columns, a); err != nil {
			return 0, &refused{err}
		}
		return p.Each(func(r scores.Row) error {
			if err := yield(r); err != nil {
				return &refused{err}
			}
			return nil
		})
	})
}

// refused is an error of whoever takes rows, not of the part.
type refused struct{ error }

// withPart opens the part of task n and compares the checksum of the rows that read has seen.
func (j *Job) withPart(ctx context.Context, n int, read func(*scores.Part, About) (uint32, error)) error {
	e, err := j.store.Stat(ctx, partFile(n))
	if err != nil {
		return j.partError(n, err)
	}
	last := int64(tail)
	if e.Size <= inMemory {
		last = e.Size
	}
	p, a, err := j.openPart(ctx, n, e.Size, last)
	if err != nil {
		return err
	}
	defer p.Close()
	sum, err := read(p, a)
	if r := (*refused)(nil); errors.As(err, &r) {
		return r.error
	}
	if err == nil && fmt.Sprintf("%08x", sum) != a.CRC32C {
		err = errors.New("damaged: its rows are not those that were written")
	}
	return j.partError(n, err)
}

// claims compares what a part says about itself with this job and its footer.
func (j *Job) claims(n int, p *scores.Part) (a About, err error) {
	if len(p.Text) > maxSpec {
		return a, errors.New("damaged: its description is too long")
	}
	if err := strict([]byte(p.Text), &a); err != nil {
		return a, fmt.Errorf("damaged: its description: %w", err)
	}
	sum := 0
	for _, n := range a.Status {
		sum += n
	}
	switch {
	case a.Job != j.ID:
		return a, fmt.Errorf("the part of another job (%.12s, this one is %.12s)", a.Job, j.ID)
	case a.Task != n:
		return a, fmt.Errorf("the part of task %d", a.Task)
	case a.Rows != j.RowsOf(n) || p.Rows != int64(a.Rows) || sum != a.Rows:
		return a, fmt.Errorf("damaged: %s, %d by its statuses and %d by its description; the task has %d",
			plural.Count(p.Rows, "row"), sum, a.Rows, j.RowsOf(n))
	}
	return a, nil
}

// partError names the part, and what to do.
func (j *Job) partError(n int, err error) error {
	switch {
	case err == nil, errors.Is(err, errNoPart), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("job: %s: task %d: %w", j, n, errNoPart)
	case failure.System(err):
		return fmt.Errorf("job: %w", err)
	}
	return failure.Data(fmt.Errorf("job: %s: %s: %w; %s", j, partFile(n), err, again))
}

// write fills the part of task t with rows, which counts their statuses.
func (j *Job) write(w io.Writer, t Task, r Rows) error {
	about := About{Job: j.ID, Task: t.Number, Inputs: t.Digest, Status: map[string]int{}}
	each := func(yield func(scores.Row) error) error {
		for i, row := range r.Rows {
			about.Rows++
			about.Status[r.Status[i]]++
			if r.Group != nil && r.Group[i] != "" {
				about.count(r.Group[i])
			}
			if err := yield(row); err != nil {
				return err
			}
		}
		return nil
	}
	return scores.WritePart(w, r.Columns, r.Packing, each, func(sum uint32) (string, error) {
		about.CRC32C = fmt.Sprintf("%08x", sum)
		text, err := json.Marshal(about)
		return string(text), err
	})
}

// count counts a row of a group.
func (a *About) count(group string) {
	if a.Groups == nil {
		a.Groups = map[string]int{}
	}
	a.Groups[group]++
}

// Describe hands over what each part says about itself, in any order, one at a time.
// Errors: a part that is missing or damaged is failure.Data.
func (j *Job) Describe(ctx context.Context, visit func(About) error) error {
	if err := j.complete(ctx); err != nil {
		return err
	}
	var mu sync.Mutex
	return j.each(ctx, "parts/", ".parquet", func(n int, e store.Entry) error {
		a, err := j.describe(ctx, n, e.Size)
		if err != nil {
			return goneSince(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return visit(a)
	})
}

// Blocks hands over the rows of part n in their order, by columns. A block is valid during
// the call. Errors: a part that is missing or damaged is failure.Data, the latter maybe
// after its last block.
func (j *Job) Blocks(ctx context.Context, n int, yield func([]scores.Column, scores.Block) error) error {
	return goneSince(j.withPart(ctx, n, func(p *scores.Part, _ About) (uint32, error) {
		return p.Blocks(func(b scores.Block) error {
			if err := yield(p.Columns, b); err != nil {
				return &refused{err}
			}
			return nil
		})
	}))
}

// goneSince is the error of a part that was there when all were counted.
func goneSince(err error) error {
	if errors.Is(err, errNoPart) {
		return failure.Data(fmt.Errorf("%w; do it with `finetune run`", err))
	}
	return err
}
