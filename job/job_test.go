package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"finetune/internal/failure"
	"finetune/scores"
)

var columns = []scores.Column{{Name: "path"}, {Name: "status"}, {Name: "length", Number: true}}

// lengths computes the length of each input; every seventh is bad, as photographs are.
type lengths struct {
	fail func(t Task) error // nil: none fails
}

func (l lengths) Compute(ctx context.Context, t Task) (r Rows, err error) {
	if l.fail != nil {
		if err := l.fail(t); err != nil {
			return r, err
		}
	}
	r.Columns = columns
	for _, in := range t.Inputs {
		status, n := "ok", float32(len(in))
		if strings.HasSuffix(in, "7") {
			status, n = "unreadable", scores.None
		}
		r.Rows = append(r.Rows, scores.Row{{Text: in}, {Text: status}, {Number: n}})
		r.Status = append(r.Status, status)
	}
	return r, ctx.Err()
}

func (lengths) Close() error { return nil }

// spec is of a job of so many rows a task.
func spec(taskRows int) Spec {
	return Spec{Kind: "lengths", Finetune: "test", Options: []byte(`{"a":1}`), Needs: Needs{"model", "as it is", "1.2.3"},
		TaskRows: taskRows}
}

// inputs hands over n texts.
func inputs(n int) func(yield func(string) error) error {
	return func(yield func(string) error) error {
		for i := range n {
			if err := yield(fmt.Sprintf("a\n\"b\"/%06d", i)); err != nil {
				return err
			}
		}
		return nil
	}
}

// onEach runs do with the places of two empty jobs, in a folder and in a bucket.
func onEach(t *testing.T, do func(t *testing.T, place, other string)) {
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		do(t, filepath.Join(dir, "one"), filepath.Join(dir, "two"))
	})
	t.Run("s3", func(t *testing.T) {
		backend := s3mem.New()
		server := httptest.NewServer(gofakes3.New(backend).Server())
		t.Cleanup(server.Close)
		if err := backend.CreateBucket("jobs"); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_ACCESS_KEY_ID", "test")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
		query := "?region=us-east-1&use_path_style=true&endpoint=" + server.URL
		do(t, "s3://jobs/one"+query, "s3://jobs/two"+query)
	})
}

func plan(t *testing.T, place string, taskRows, n int) *Job {
	t.Helper()
	j, err := Plan(t.Context(), place, spec(taskRows), inputs(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func work(t *testing.T, j *Job, i, n int) {
	t.Helper()
	if err := j.Work(t.Context(), lengths{}, Share{i, n}, func(Done) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// merged is the table of a job as CSV.
func merged(j *Job) (string, error) {
	var out bytes.Buffer
	err := j.Merge(context.Background(), func(c []scores.Column, each func(yield func(scores.Row) error) error) error {
		return scores.WriteTo(&out, scores.CSV, c, each, false)
	})
	return out.String(), err
}

// whole is the table that one process writes.
func whole(t *testing.T, n int) string {
	t.Helper()
	var task Task
	if err := inputs(n)(func(in string) error { task.Inputs = append(task.Inputs, in); return nil }); err != nil {
		t.Fatal(err)
	}
	r, err := lengths{}.Compute(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = scores.WriteTo(&out, scores.CSV, r.Columns, func(yield func(scores.Row) error) error {
		for _, row := range r.Rows {
			if err := yield(row); err != nil {
				return err
			}
		}
		return nil
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAnyNumberOfWorkersGiveTheTableOfOne(t *testing.T) {
	onEach(t, func(t *testing.T, place, other string) {
		const n = 95
		j, one := plan(t, place, 10, n), plan(t, other, 10, n)
		if j.ID != one.ID || j.Tasks != 10 || j.Rows != n {
			t.Errorf("%+v and %+v", j.Spec, one.Spec)
		}
		work(t, one, 0, 1)
		var all sync.WaitGroup
		var mu sync.Mutex
		states := map[string]int{}
		for i := range 6 { // three shares, each by two workers at once
			all.Go(func() {
				err := j.Work(t.Context(), lengths{}, Share{i % 3, 3}, func(d Done) error {
					mu.Lock()
					defer mu.Unlock()
					states[d.State]++
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if states[Computed] != 10 || states[There] != 10 {
			t.Errorf("10 tasks by two workers each: %v", states)
		}
		for i := range j.Tasks {
			a, errA := j.store.Get(t.Context(), partFile(i), 1<<20)
			b, errB := one.store.Get(t.Context(), partFile(i), 1<<20)
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("part %d differs: %v, %v", i, errA, errB)
			}
		}
		got, err := merged(j)
		if err != nil || got != whole(t, n) {
			t.Errorf("%v\n%s\nwant\n%s", err, got, whole(t, n))
		}
		s, err := j.Status(t.Context())
		if err != nil || s.Done != 10 || s.RowsDone != n || s.Status["ok"] != 86 || s.Status["unreadable"] != 9 ||
			len(s.Bad) != 0 || len(s.Failed) != 0 || s.LoggedRows != n {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestStreamTakesNumbersAndEndsAtTheFirstFailure(t *testing.T) {
	onEach(t, func(t *testing.T, place, _ string) {
		j := plan(t, place, 10, 100)
		poison := errors.New("poisoned")
		c := lengths{fail: func(t Task) error {
			if t.Number == 3 {
				return poison
			}
			return nil
		}}
		var lines []Done
		err := j.Stream(t.Context(), c, strings.NewReader("7\n7\n0\n3\n1\n"), func(d Done) error {
			d.Seconds = 0
			lines = append(lines, d)
			return nil
		})
		want := []Done{{-1, Ready, 0, 0}, {7, Computed, 10, 0}, {7, There, 10, 0}, {0, Computed, 10, 0}}
		if !errors.Is(err, poison) || !strings.Contains(err.Error(), "task 3") || !slices.Equal(lines, want) {
			t.Errorf("%v, %v", lines, err)
		}
		if s, err := j.Status(t.Context()); err != nil || len(s.Failed) != 1 || s.Failed[0].Task != 3 ||
			!strings.Contains(s.Failed[0].Error, "poisoned") {
			t.Errorf("%+v, %v", s, err)
		}
		for _, bad := range []string{"x\n", "10\n", "-1\n", "\n", strings.Repeat("1", 5000)} {
			err := j.Stream(t.Context(), c, strings.NewReader(bad), func(Done) error { return nil })
			if failure.KindOf(err) != failure.UsageKind {
				t.Errorf("%.20q: %v", bad, err)
			}
		}
		work(t, j, 0, 1)
		if s, err := j.Status(t.Context()); err != nil || len(s.Failed) != 0 || s.Done != 10 {
			t.Errorf("done after all: %+v, %v", s, err)
		}
	})
}

func TestAWorkerThatIsStoppedLeavesNoHalfPart(t *testing.T) {
	j := plan(t, filepath.Join(t.TempDir(), "j"), 10, 30)
	ctx, cancel := context.WithCancel(t.Context())
	c := lengths{fail: func(t Task) error {
		if t.Number == 1 {
			cancel()
			return ctx.Err()
		}
		return nil
	}}
	err := j.Work(ctx, c, Share{0, 1}, func(Done) error { return nil })
	if failure.KindOf(err) != failure.Interrupted {
		t.Errorf("%v", err)
	}
	if s, err := j.Status(t.Context()); err != nil || s.Done != 1 || len(s.Failed) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	r, w, err := os.Pipe() // nobody writes: a worker that waits for a number hears its end
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel = context.WithCancel(t.Context())
	if err := j.Stream(ctx, c, r, func(Done) error { cancel(); return nil }); failure.KindOf(err) != failure.Interrupted {
		t.Errorf("%v", err)
	}
}

func TestNeeds(t *testing.T) {
	n := Needs{"m", "r", "1"}
	if err := n.Met(n); err != nil {
		t.Error(err)
	}
	for _, have := range []Needs{{"other", "r", "1"}, {"m", "s", "1"}, {"m", "r", "2"}} {
		if failure.KindOf(n.Met(have)) != failure.DataKind {
			t.Errorf("%+v", have)
		}
	}
}

func TestLeftAndNumbers(t *testing.T) {
	j := plan(t, filepath.Join(t.TempDir(), "j"), 1, 200)
	work(t, j, 1, 3)
	left, err := j.Left(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for n := range left {
		if count++; n%3 == 1 {
			t.Errorf("%d is done", n)
		}
	}
	if count != 200-67 {
		t.Errorf("%d are left", count)
	}
	for _, name := range []string{"parts/1.parquet", "parts/000000001.parquet", "parts/-0000001.parquet",
		"parts/00000001.parquet.tmp", "parts/+0000001.parquet", "parts/00000001.failed.parquet"} {
		if n, ours := number(name, "parts/", ".parquet"); ours {
			t.Errorf("%s is task %d", name, n)
		}
	}
	if _, err := j.about(t.Context(), 0); !errors.Is(err, errNoPart) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
