package job

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"finetune/scores"
)

// FINETUNE_SIMULATE=ROWS plans a job of so many rows without photographs, writes its parts,
// and tells the time and the memory of status and merge: `FINETUNE_SIMULATE=10000000 go test
// ./job -run TestSimulatedRows -v -timeout 2h`. Without it a few rows are taken.
func TestSimulatedRows(t *testing.T) {
	rows := 30_000
	if text := os.Getenv("FINETUNE_SIMULATE"); text != "" {
		var err error
		if rows, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	ctx, dir := t.Context(), t.TempDir()
	phase := func(what string, do func() error) {
		start, before := time.Now(), processorTime(t)
		if err := do(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d rows: %-6s %7.1f s, %6.1f s of processor, peak so far %d MB", rows, what, time.Since(start).Seconds(),
			(processorTime(t) - before).Seconds(), peak(t))
	}
	var j *Job
	phase("plan", func() (err error) {
		j, err = Plan(ctx, filepath.Join(dir, "j"), spec(10_000), func(yield func(string) error) error {
			for i := range rows {
				if err := yield(fmt.Sprintf("train/class-%03d/photograph-%012d.jpg", i%997, i)); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	})
	defer j.Close()
	phase("work", func() error { return j.Work(ctx, lengths{}, Share{0, 1}, func(Done) error { return nil }) })
	phase("status", func() error {
		s, err := j.Status(ctx)
		if err == nil && (s.RowsDone != int64(rows) || s.Done != j.Tasks) {
			err = fmt.Errorf("%d rows in %d parts", s.RowsDone, s.Done)
		}
		return err
	})
	phase("merge", func() error {
		return j.Merge(ctx, func(columns []scores.Column, each func(yield func(scores.Row) error) error) error {
			return scores.Write(filepath.Join(dir, "all.csv"), columns, each, false)
		})
	})
	if mb := peak(t); mb > 500 {
		t.Errorf("%d MB, more than 500", mb)
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory that this process has had, in MB.
func peak(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(data), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb / 1024
}
