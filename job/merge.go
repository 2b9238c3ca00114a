package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/scores"
)

// Merge hands the rows of all parts over in the order of tasks to write, which gets the
// columns and a function that yields the rows; scores.Write and scores.WriteTo fit. One part
// is in memory at a time. Parts that are missing, damaged, or not this job's are failure.Data,
// all that are missing at once, before write is called; the others when their rows come.
func (j *Job) Merge(ctx context.Context,
	write func(columns []scores.Column, each func(yield func(scores.Row) error) error) error) error {
	if err := j.complete(ctx); err != nil {
		return err
	}
	var columns []scores.Column
	stop := errors.New("columns are known")
	err := j.partRows(ctx, 0, func(c []scores.Column, _ About) error { columns = c; return stop }, nil)
	if !errors.Is(err, stop) {
		return err
	}
	return write(columns, func(yield func(scores.Row) error) error { return j.rowsInOrder(ctx, columns, yield) })
}

func (j *Job) rowsInOrder(ctx context.Context, columns []scores.Column, yield func(scores.Row) error) error {
	inputs := sha256.New()
	for n := range j.Tasks {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := j.partRows(ctx, n, func(c []scores.Column, a About) error {
			if !slices.Equal(c, columns) {
				return j.partError(n, errors.New("other columns than the first part"))
			}
			_, err := io.WriteString(inputs, a.Inputs)
			return err
		}, yield)
		if errors.Is(err, errNoPart) { // gone since they were counted
			return failure.Data(fmt.Errorf("%w; run the job again, then merge", err))
		}
		if err != nil {
			return err
		}
	}
	if hex.EncodeToString(inputs.Sum(nil)) != j.Inputs {
		return j.unplanned(ctx)
	}
	return nil
}

// unplanned names the part that was not computed from the task that is there, or says that
// the tasks are others than those that were planned.
func (j *Job) unplanned(ctx context.Context) error {
	for n := range j.Tasks {
		a, err := j.about(ctx, n)
		if err != nil {
			return err
		}
		t, err := j.Task(ctx, n)
		if err != nil {
			return err
		}
		if t.Digest != a.Inputs {
			return j.partError(n, fmt.Errorf("damaged, or computed from another %s", taskFile(n)))
		}
	}
	return failure.Data(fmt.Errorf("job: %s: some parts were computed from other tasks than those that were planned, "+
		"which are in their place now; plan the job again in another folder", j))
}

// complete returns an error that names the first parts that are not there.
func (j *Job) complete(ctx context.Context) error {
	missing, n, err := j.missing(ctx)
	if err == nil && n > 0 {
		err = failure.Data(fmt.Errorf("job: %s: %d of %s still to do: %s; run the job again, then this command", j, n,
			plural.Count(j.Tasks, "task"), missing))
	}
	return err
}

// missing names the first tasks without a part, and counts all.
func (j *Job) missing(ctx context.Context) (names string, count int, err error) {
	left, err := j.Left(ctx)
	if err != nil {
		return "", 0, err
	}
	for n := range left {
		if count++; count <= shown {
			names += fmt.Sprintf(", %d", n)
		}
	}
	if count > shown {
		names += " …"
	}
	return strings.TrimPrefix(names, ", "), count, nil
}

// shown is how many tasks a message names.
const shown = 10
