package parts_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/head"
	"finetune/internal/failure"
	"finetune/internal/jobtest"
	"finetune/learner/parts"
	"finetune/learner/runs"
)

func made(t *testing.T, m jobtest.Made) *parts.Set {
	t.Helper()
	place := filepath.Join(t.TempDir(), "job")
	if err := m.Write(t.Context(), place); err != nil {
		t.Fatal(err)
	}
	s, err := parts.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// drawn are the rows that a stream hands out from a place of an epoch to its end, as texts.
func drawn(t *testing.T, s *parts.Stream, epoch, from, n, size int) (rows []string) {
	t.Helper()
	for lo := from; lo < n; lo += size {
		index := runs.Indices(min(lo+size, n))[lo:]
		b, err := s.Batch(t.Context(), epoch, index)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range b.Rows {
			rows = append(rows, fmt.Sprint(row, b.Labels[i]))
		}
	}
	return rows
}

// Each epoch has each row once, in an order of its own; a stream that begins anywhere goes on
// in the same order, whatever the batches; windows mix the parts.
func TestAStreamHandsOutEachRowOnce(t *testing.T) {
	m := jobtest.Made{Train: 95, Valid: 30, Width: 3, Classes: 2, TaskRows: 10, Bad: 9}
	set := made(t, m)
	n := set.Rows(parts.Train)
	if n != 95-11 || set.Rows(parts.Valid) != 30-3 || set.Skipped != 14 {
		t.Fatalf("%d train, %d valid, %d skipped", n, set.Rows(parts.Valid), set.Skipped)
	}
	want := make([]string, 0, n)
	for i := range 95 {
		if i%9 != 0 {
			row := make([]float32, 3)
			m.Features(row, i)
			want = append(want, fmt.Sprint(row, i%2))
		}
	}
	slices.Sort(want)
	for _, size := range []int{1, 10, 33, 1000} {
		var epochs [3][]string
		s := set.Stream(size, 5, 3)
		for e := range epochs {
			epochs[e] = drawn(t, s, e, 0, n, 7)
			if got := slices.Sorted(slices.Values(epochs[e])); !slices.Equal(got, want) {
				t.Errorf("window %d, epoch %d: %d rows, other ones than the job's %d", size, e, len(got), len(want))
			}
		}
		s.Close()
		if slices.Equal(epochs[0], epochs[1]) || slices.Equal(epochs[1], epochs[2]) {
			t.Errorf("window %d: two epochs have one order", size)
		}
		for _, from := range []int{0, 1, 31, n - 1} {
			s := set.Stream(size, 5, 3)
			for _, e := range []int{1, 2} { // the second begins with what was read ahead
				if got := drawn(t, s, e, from, n, 16); !slices.Equal(got, epochs[e][from:]) {
					t.Errorf("window %d, epoch %d from row %d: another order", size, e, from)
				}
			}
			s.Close()
		}
		other := set.Stream(size, 6, 3)
		if slices.Equal(drawn(t, other, 0, 0, n, 7), epochs[0]) {
			t.Errorf("window %d: two seeds have one order", size)
		}
		other.Close()
	}
}

// With all rows in one window the order is that of training in memory.
func TestOneWindowIsInMemory(t *testing.T) {
	m := jobtest.Made{Train: 50, Valid: 4, Width: 3, Classes: 2, TaskRows: 8}
	set := made(t, m)
	s := set.Stream(50, 5, 2)
	defer s.Close()
	for e := range 2 {
		var want []string
		for _, i := range head.Order(50, 5, e) {
			row := make([]float32, 3)
			m.Features(row, i)
			want = append(want, fmt.Sprint(row, i%2))
		}
		if got := drawn(t, s, e, 0, 50, 7); !slices.Equal(got, want) {
			t.Errorf("epoch %d: %v", e, got)
		}
	}
}

func TestSeveralLabelsAPhotograph(t *testing.T) {
	set := made(t, jobtest.Made{Train: 30, Valid: 5, Width: 2, Classes: 4, TaskRows: 7, Multi: true})
	s := set.Stream(10, 1, 1)
	defer s.Close()
	sums := make([]float32, 4)
	for i := range 30 {
		b, err := s.Batch(t.Context(), 0, []int{i})
		if err != nil || len(b.Labels) != 0 || len(b.Targets) != 4 {
			t.Fatal(b, err)
		}
		for k, v := range b.Targets {
			sums[k] += v
		}
	}
	want := make([]float32, 4)
	for i := range 30 {
		want[i%4]++
		if i%3 == 0 && i%4 < 3 {
			want[i%4+1]++
		}
	}
	if !slices.Equal(sums, want) {
		t.Errorf("%v rows of each class, want %v", sums, want)
	}
}

// A job that cannot be trained on is refused with what to do, also when it changes meanwhile.
func TestJobsThatCannotBeTrainedOn(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, m := range map[string]jobtest.Made{
		"one row":  {Train: 1, Valid: 3, Width: 2, Classes: 1, TaskRows: 5},
		"no valid": {Train: 9, Width: 2, Classes: 2, TaskRows: 5},
		"no class": {Train: 3, Valid: 3, Width: 2, Classes: 5, TaskRows: 5},
	} {
		if err := m.Write(t.Context(), at(name)); err != nil {
			t.Fatal(err)
		}
		if _, err := parts.Open(t.Context(), at(name)); failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s: %v", name, err)
		}
	}
	set := made(t, jobtest.Made{Train: 40, Valid: 10, Width: 2, Classes: 2, TaskRows: 10})
	s := set.Stream(10, 1, 1)
	defer s.Close()
	removeParts(t, set)
	var err error
	for i := 0; i < 40 && err == nil; i++ { // the first window may have been read ahead
		_, err = s.Batch(t.Context(), 0, []int{i})
	}
	if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), "finetune run") {
		t.Errorf("a part that is gone: %v", err)
	}
	_, err = parts.Open(t.Context(), set.Job.String())
	if err == nil || !strings.Contains(err.Error(), "still to do: 0, 1") {
		t.Errorf("parts that are gone: %v", err)
	}
}

// Whoever ends a context does not wait for a window.
func TestAStreamEndsWithItsContext(t *testing.T) {
	set := made(t, jobtest.Made{Train: 40, Valid: 10, Width: 2, Classes: 2, TaskRows: 10})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := set.Stream(10, 1, 1)
	defer s.Close()
	for range 50 { // select chooses by chance where the window is there as well
		if _, err := s.Batch(ctx, 0, []int{0}); err != nil {
			return
		}
		s.Close()
		s = set.Stream(10, 1, 1)
	}
	t.Error("no end")
}

func removeParts(t *testing.T, set *parts.Set) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(set.Job.String(), "parts", "*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		remove(t, name)
	}
}
