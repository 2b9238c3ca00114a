package job

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/store"
	"finetune/scores"
)

// Rows is the result of a task: a row an input, in their order.
type Rows struct {
	Columns []scores.Column
	Rows    []scores.Row
	Status  []string // of each row
	Group   []string // what a row counts as, "" for nothing; nil for a job that is Plain
	Packing scores.Packing
}

// Computer computes tasks, one at a time: a pure function of the job and the task's inputs.
type Computer interface {
	Compute(ctx context.Context, t Task) (Rows, error)
	Close() error
}

// States of a task that a worker reports.
const (
	Ready    = "ready"    // the worker is; it has no number then
	Computed = "computed" // this worker wrote the part
	There    = "there"    // the part was there, or another worker was faster
)

// Done is the line that a worker prints for a task, as JSON.
type Done struct {
	Task    int     `json:"task"`
	State   string  `json:"state"`
	Rows    int     `json:"rows"`
	Seconds float64 `json:"seconds"` // of this worker
}

// attempt is what is kept of a task in logs: of its part, or of why there is none.
type attempt struct {
	Done
	Host  string    `json:"host"`
	Time  time.Time `json:"time"`
	Error string    `json:"error,omitempty"`
}

// maxAttempt bounds a file in logs.
const maxAttempt = 1 << 16

// Do computes task n unless its part is there. A part that is damaged or another job's is
// an error, and stays where it is. Why a task failed is kept in logs.
func (j *Job) Do(ctx context.Context, c Computer, n int) (Done, error) {
	start := time.Now()
	d := Done{Task: n, State: There, Rows: j.RowsOf(n)}
	_, err := j.about(ctx, n)
	if errors.Is(err, errNoPart) {
		d.State, err = j.compute(ctx, c, n)
	}
	d.Seconds = time.Since(start).Seconds()
	switch {
	case err != nil:
		if ctx.Err() == nil {
			err = errors.Join(err, j.Failed(ctx, n, err))
		}
		return d, err
	case d.State == Computed:
		err = j.log(ctx, doneFile(n), attempt{Done: d})
	}
	return d, err
}

func (j *Job) compute(ctx context.Context, c Computer, n int) (string, error) {
	t, err := j.Task(ctx, n)
	if err != nil {
		return "", err
	}
	rows, err := c.Compute(ctx, t)
	if err == nil && (len(rows.Rows) != len(t.Inputs) || len(rows.Status) != len(t.Inputs) ||
		rows.Group != nil && len(rows.Group) != len(t.Inputs)) {
		err = fmt.Errorf("%s, %s and %s of %s", plural.Count(len(rows.Rows), "row"), plural.Count(len(rows.Status), "status"),
			plural.Count(len(rows.Group), "group"), plural.Count(len(t.Inputs), "input"))
	}
	if err != nil {
		return "", fmt.Errorf("job: task %d: %w", n, err)
	}
	err = j.store.PutIfAbsent(ctx, partFile(n), func(w io.Writer) error { return j.write(w, t, rows) })
	if errors.Is(err, fs.ErrExist) {
		return There, nil
	}
	if err != nil {
		return "", fmt.Errorf("job: task %d: %w", n, err)
	}
	return Computed, nil
}

// Failed keeps why a task has no part, where it has none; the next failure replaces it.
func (j *Job) Failed(ctx context.Context, n int, why error) error {
	text := why.Error()
	if len(text) > maxAttempt/8 {
		text = text[:maxAttempt/8] + "…"
	}
	return j.log(ctx, failFile(n), attempt{Done: Done{Task: n}, Error: strings.ToValidUTF8(text, "\uFFFD")})
}

func (j *Job) log(ctx context.Context, name string, a attempt) error {
	a.Host, _ = os.Hostname() // "" says as much
	a.Time = time.Now().UTC().Truncate(time.Millisecond)
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	if err := j.store.Put(ctx, name, store.Bytes(append(data, '\n'))); err != nil {
		return fmt.Errorf("job: %w", err)
	}
	return nil
}

// Share is part I of N equal parts: the tasks I, I+N, I+2N …
type Share struct{ I, N int }

// Work does the tasks of a share that are left, and tells done each. A task that fails
// does not keep the others from being done; the errors come together at the end.
func (j *Job) Work(ctx context.Context, c Computer, s Share, done func(Done) error) error {
	var failed []error
	for n := s.I; n < j.Tasks; n += s.N {
		d, err := j.Do(ctx, c, n)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("stopped before task %d; what is done is kept: %w", n, ctx.Err())
		case err != nil:
			if failed = append(failed, err); len(failed) == maxFailed {
				return failures(j, failed)
			}
		default:
			if err := done(d); err != nil {
				return err
			}
		}
	}
	return failures(j, failed)
}

// maxFailed is after how many failed tasks a worker gives up.
const maxFailed = 10

// failures joins the errors of tasks; the first one's kind counts.
func failures(j *Job, list []error) error {
	if len(list) < 2 {
		return errors.Join(list...)
	}
	err := fmt.Errorf("job: %s: %s failed; `finetune status` names all: %w", j, plural.Count(len(list), "task"),
		errors.Join(list...))
	switch failure.KindOf(list[0]) {
	case failure.UsageKind:
		return failure.Usage(err)
	case failure.DataKind:
		return failure.Data(err)
	}
	return err
}

// Stream does the tasks whose numbers come a line each, until in ends, and tells done
// each. It ends at the first failure, so that whoever hands out numbers learns which.
func (j *Job) Stream(ctx context.Context, c Computer, in io.Reader, done func(Done) error) error {
	if err := done(Done{Task: -1, State: Ready}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64), 1<<10)
	for {
		text, more := next(ctx, lines)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped between tasks; what is done is kept: %w", ctx.Err())
		}
		if !more {
			break
		}
		n, err := j.Number(text)
		if err != nil {
			return err
		}
		d, err := j.Do(ctx, c, n)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped at task %d; what is done is kept: %w", n, ctx.Err())
		}
		if err != nil {
			return err
		}
		if err := done(d); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return failure.Usage(fmt.Errorf("job: numbers of tasks on standard input: %w", err))
	}
	return nil
}

// next is the next line, unless ctx ends before it comes: whoever waits for a number has
// to hear Ctrl-C. The reader is left alone then.
func next(ctx context.Context, lines *bufio.Scanner) (string, bool) {
	came := make(chan bool, 1)
	go func() { came <- lines.Scan() }()
	select {
	case more := <-came:
		return lines.Text(), more
	case <-ctx.Done():
		return "", false
	}
}
