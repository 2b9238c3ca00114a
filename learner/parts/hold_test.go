package parts_test

import (
	"fmt"
	"slices"
	"testing"

	"finetune/internal/jobtest"
	"finetune/learner/parts"
	"finetune/learner/runs"
)

// each are the paths of a split, part by part.
func each(t *testing.T, set *parts.Set, split string) (list []string) {
	t.Helper()
	for n := range set.Job.Tasks {
		if err := set.Each(t.Context(), n, split, func(r parts.Row) error {
			list = append(list, fmt.Sprint(r.Path, r.Cell, r.Features))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// Rows that are held are no training rows, together they are all of them, and giving them
// back leaves nothing changed.
func TestHold(t *testing.T) {
	m := jobtest.Made{Train: 400, Valid: 20, Width: 2, Classes: 2, TaskRows: 20, Bad: 7}
	set := made(t, m)
	all, skipped := each(t, set, parts.Train), set.Skipped
	for _, n := range []int{1, 100} {
		set.Hold(n, 5)
		train, held := each(t, set, parts.Train), each(t, set, parts.Held)
		if len(held) < n/2 || len(held) > 3*n/2+1 || len(train) != set.Rows(parts.Train) ||
			len(held) != set.Rows(parts.Held) {
			t.Errorf("%d are held of %d, want about %d", len(held), len(all), n)
		}
		both := slices.Sorted(slices.Values(append(slices.Clone(train), held...)))
		if !slices.Equal(both, slices.Sorted(slices.Values(all))) {
			t.Errorf("%d: held and trained are not all rows", n)
		}
		unreadable := 0
		if err := set.Unreadable(t.Context(), func(s runs.Skipped) error { unreadable++; return nil }); err != nil ||
			unreadable != skipped {
			t.Errorf("%d unreadable, %v, want %d", unreadable, err, skipped)
		}
		set.Hold(n, 5)
		if again := each(t, set, parts.Held); !slices.Equal(again, held) {
			t.Error("held again, other rows")
		}
		if set.Hold(n, 6); n > 1 && slices.Equal(each(t, set, parts.Held), held) {
			t.Error("another seed holds the same rows")
		}
	}
	if set.Hold(0, 0); !slices.Equal(each(t, set, parts.Train), all) || set.Rows(parts.Held) != 0 {
		t.Error("rows that were given back are not there")
	}
}
