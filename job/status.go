package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/store"
)

// Status is how far a job is. The counts of Status add up to RowsDone.
type Status struct {
	Job      string         `json:"job"` // where it is
	Kind     string         `json:"kind"`
	Tasks    int            `json:"tasks"`
	Done     int            `json:"done"` // tasks with a good part
	Rows     int64          `json:"rows"`
	RowsDone int64          `json:"rows_done"`
	Status   map[string]int `json:"status"` // rows by status
	// WorkerSeconds are those that good parts took, each by its worker's own clock, as far
	// as logs tell: those of LoggedRows rows.
	WorkerSeconds float64 `json:"worker_seconds"`
	LoggedRows    int64   `json:"logged_rows"`
	RowsPerSecond float64 `json:"rows_per_second"` // of late, all workers together; 0: not known
	SecondsLeft   float64 `json:"seconds_left"`    // at that rate; 0: done or not known
	Failed        []Fail  `json:"failed"`          // tasks that failed and are not done
	Bad           []Fail  `json:"bad"`             // parts that are there and of no use

	good bitset
}

// Left are the tasks without a part, good or bad, in their order.
func (s Status) Left() iter.Seq[int] {
	there := slices.Clone(s.good)
	for _, b := range s.Bad {
		there.add(b.Task)
	}
	return there.others(s.Tasks)
}

// Whole returns an error unless each task has a good part. It is failure.Data.
func (s Status) Whole() error {
	switch {
	case len(s.Bad) > 0:
		return failure.Data(fmt.Errorf("%d of %s cannot be used, the first: %s", len(s.Bad), plural.Count(s.Tasks, "part"),
			s.Bad[0].Error))
	case s.Done < s.Tasks:
		return failure.Data(fmt.Errorf("job: %s: %d of %s gone since they were computed; run the job again", s.Job,
			s.Tasks-s.Done, plural.Count(s.Tasks, "part")))
	}
	return nil
}

// Fail is a task and why it has no part, or no good one.
type Fail struct {
	Task  int    `json:"task"`
	Error string `json:"error"`
}

// Cost is what the work costs at a price for an hour of a worker: so far, and in all at
// the same rate, 0 where that is not known.
func (s Status) Cost(price float64) (sofar, all float64) {
	sofar = s.WorkerSeconds / 3600 * price
	if s.LoggedRows > 0 {
		all = sofar / float64(s.LoggedRows) * float64(s.Rows)
	}
	return sofar, all
}

const (
	readers  = 16 // parts and logs that are read at once
	recently = 64 // parts whose times make the rate
)

// Status looks at each part's description and at the logs. Memory grows with the number of
// tasks, by a few bytes each, not with rows.
func (j *Job) Status(ctx context.Context) (Status, error) {
	s := Status{Job: j.String(), Kind: j.Kind, Tasks: j.Tasks, Rows: j.Rows, Status: map[string]int{}, Failed: []Fail{},
		Bad: []Fail{}}
	var mu sync.Mutex
	var times []stamp
	err := j.each(ctx, "parts/", ".parquet", func(n int, e store.Entry) error {
		a, err := j.describe(ctx, n, e.Size)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, errNoPart): // deleted meanwhile
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			s.Bad = append(s.Bad, Fail{n, err.Error()})
		default:
			s.good.add(n)
			s.Done, s.RowsDone = s.Done+1, s.RowsDone+int64(a.Rows)
			for status, k := range a.Status {
				s.Status[status] += k
			}
			times = append(times, stamp{e.Modified, a.Rows})
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	longest, err := j.logs(ctx, &s)
	if err != nil {
		return s, err
	}
	slices.SortFunc(s.Bad, func(a, b Fail) int { return a.Task - b.Task })
	slices.SortFunc(s.Failed, func(a, b Fail) int { return a.Task - b.Task })
	if s.RowsPerSecond = rate(times, longest); s.RowsPerSecond > 0 {
		s.SecondsLeft = float64(s.Rows-s.RowsDone) / s.RowsPerSecond
	}
	return s, nil
}

// logs adds what they say about tasks, and returns the time of the longest one. A log that
// is damaged says nothing.
func (j *Job) logs(ctx context.Context, s *Status) (longest time.Duration, err error) {
	var mu sync.Mutex
	for _, ending := range []string{".failed.json", ".json"} {
		err := j.each(ctx, "logs/", ending, func(n int, e store.Entry) error {
			failed := ending != ".json"
			if failed == s.good.has(n) { // it failed once and is done; or its part is gone
				return nil
			}
			var a attempt
			data, err := j.store.Get(ctx, e.Name, maxAttempt)
			if err == nil {
				err = json.Unmarshal(data, &a)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case failed && err != nil:
				s.Failed = append(s.Failed, Fail{n, fmt.Sprintf("its log cannot be read: %v", err)})
			case failed:
				s.Failed = append(s.Failed, Fail{n, a.Error})
			case err == nil && a.Seconds > 0:
				s.WorkerSeconds, s.LoggedRows = s.WorkerSeconds+a.Seconds, s.LoggedRows+int64(j.RowsOf(n))
				longest = max(longest, time.Duration(min(a.Seconds, 1e9)*1e9))
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return longest, nil
}

// each visits the files of tasks in a folder, several at once.
func (j *Job) each(ctx context.Context, folder, ending string, visit func(n int, e store.Entry) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	err := j.store.List(ctx, folder, func(e store.Entry) error {
		if n, ours := number(e.Name, folder, ending); ours && n < j.Tasks {
			group.Go(func() error { return visit(n, e) })
		}
		return ctx.Err()
	})
	if failed := group.Wait(); failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	return nil
}

// stamp is when a part appeared.
type stamp struct {
	at   time.Time
	rows int
}

// rate is how many rows a second came of late. Times are the store's. While anybody works,
// no gap between parts is longer than the task that takes longest by its worker's own clock;
// what is much longer does not count: nobody worked then, or a clock was set. 0 stands for
// a time that is not known. Less than three parts give no rate.
func rate(times []stamp, longest time.Duration) float64 {
	slices.SortFunc(times, func(a, b stamp) int { return a.at.Compare(b.at) })
	times = times[max(0, len(times)-recently):]
	rows := 0
	var worked time.Duration
	for i := 1; i < len(times); i++ {
		if gap := times[i].at.Sub(times[i-1].at); longest == 0 || gap <= 2*longest+time.Second {
			rows, worked = rows+times[i].rows, worked+gap
		}
	}
	if worked <= 0 || len(times) < 3 {
		return 0
	}
	return float64(rows) / worked.Seconds()
}

// Left are the tasks without a part, in their order. Parts are not opened.
func (j *Job) Left(ctx context.Context) (iter.Seq[int], error) {
	var there bitset
	err := j.store.List(ctx, "parts/", func(e store.Entry) error {
		if n, ours := number(e.Name, "parts/", ".parquet"); ours && n < j.Tasks {
			there.add(n)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("job: %w", err)
	}
	return there.others(j.Tasks), nil
}

// bitset is a set of numbers of tasks, a bit each.
type bitset []uint64

func (b *bitset) add(n int) {
	for len(*b) <= n/64 {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b bitset) has(n int) bool { return n/64 < len(b) && b[n/64]&(1<<(n%64)) != 0 }

// others are the numbers below n that are not in the set.
func (b bitset) others(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !b.has(i) && !yield(i) {
				return
			}
		}
	}
}
