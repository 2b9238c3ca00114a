package job

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/faults"
	"finetune/internal/store"
)

// What is amiss with a job's files has a name, and nothing is removed.
func TestDamageIsNamed(t *testing.T) {
	onEach(t, func(t *testing.T, place, other string) {
		ctx := t.Context()
		j := plan(t, place, 10, 40)
		foreign, err := Plan(ctx, other, spec(11), inputs(44))
		if err != nil {
			t.Fatal(err)
		}
		work(t, j, 0, 1)
		work(t, foreign, 0, 1)
		get := func(j *Job, name string) []byte {
			data, err := j.store.Get(ctx, name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		good, want := get(j, partFile(2)), whole(t, 40)
		for _, tt := range []struct {
			name, want string
			data       []byte
		}{
			{"torn", "parquet", good[:len(good)/2]},
			{"empty", "parquet", nil},
			{"no part", "parquet", []byte(strings.Repeat("x", 4000))},
			{"of another task", "the part of task 1", get(j, partFile(1))},
			{"of another job", "another job", get(foreign, partFile(2))},
		} {
			if err := j.store.Put(ctx, partFile(2), store.Bytes(tt.data)); err != nil {
				t.Fatal(err)
			}
			_, err := merged(j)
			for where, err := range map[string]error{"merge": err, "work": j.Work(ctx, lengths{}, Share{2, 4},
				func(Done) error { return nil })} {
				if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), partFile(2)) ||
					!strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s, %s: %v", tt.name, where, err)
				}
			}
			s, err := j.Status(ctx)
			if err != nil || len(s.Bad) != 1 || s.Bad[0].Task != 2 || s.Done != 3 {
				t.Errorf("%s: %+v, %v", tt.name, s, err)
			}
			if err := s.Whole(); failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), partFile(2)) {
				t.Errorf("%s: %v", tt.name, err)
			}
			if !bytes.Equal(get(j, partFile(2)), tt.data) {
				t.Errorf("%s: the file was changed", tt.name)
			}
		}
		found := 0
		for at := 4; at < len(good); at += 29 { // a byte is wrong: it is found, or changes no row
			flipped := slices.Clone(good)
			flipped[at] ^= 0x55
			if err := j.store.Put(ctx, partFile(2), store.Bytes(flipped)); err != nil {
				t.Fatal(err)
			}
			table, err := merged(j)
			switch {
			case err == nil && table != want:
				t.Errorf("byte %d of %d is wrong, and nothing is said", at, len(good))
			case err != nil && (failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), partFile(2))):
				t.Errorf("byte %d: %v", at, err)
			case err != nil:
				found++
			}
		}
		if found == 0 {
			t.Error("no wrong byte was found")
		}
		if err := j.store.Delete(ctx, partFile(2)); err != nil {
			t.Fatal(err)
		}
		if _, err := merged(j); failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), "still to do: 2;") {
			t.Errorf("missing: %v", err)
		}
		task := get(j, taskFile(2))
		for name, data := range map[string][]byte{"cut off": task[:len(task)-4], "of another": get(j, taskFile(1)),
			"empty": nil, "changed": bytes.Replace(task, []byte("000021"), []byte("000099"), 1)} {
			if err := j.store.Put(ctx, taskFile(2), store.Bytes(data)); err != nil {
				t.Fatal(err)
			}
			err := j.Work(ctx, lengths{}, Share{2, 4}, func(Done) error { return nil })
			if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), taskFile(2)) {
				t.Errorf("task %s: %v", name, err)
			}
		}
		if err := j.store.Delete(ctx, taskFile(2)); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Task(ctx, 2); failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), "missing") {
			t.Errorf("%v", err)
		}
		// A task that is whole and was never planned is found where the parts come together.
		unplanned, err := taskBytes(2, []string{"0", "1", "2", "3", "4", "5", "6", "8", "9", "10"})
		if err := errors.Join(err, j.store.Put(ctx, taskFile(2), store.Bytes(unplanned))); err != nil {
			t.Fatal(err)
		}
		work(t, j, 2, 4)
		if _, err := merged(j); failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), "other tasks") {
			t.Errorf("unplanned: %v", err)
		}
	})
}

// The disk fails, or is full, at each step in turn: the error says where, and the same
// work done again ends in the same table.
func TestFailingDisks(t *testing.T) {
	const n = 25
	want := whole(t, n)
	for _, kind := range []faults.Kind{faults.Error, faults.Full} {
		for at := 0; ; at++ {
			dir := filepath.Join(t.TempDir(), "j")
			f := faults.Inject(kind, at)
			j, err := Plan(t.Context(), dir, spec(10), inputs(n))
			if err == nil {
				err = j.Work(t.Context(), lengths{}, Share{0, 1}, func(Done) error { return nil })
			}
			steps := f.Restore()
			if at < len(steps)-2 && err == nil { // a full disk renames yet
				t.Errorf("%s at step %d, %+v: no error", kind, at, steps[at])
			}
			if err != nil && !strings.Contains(err.Error(), dir) {
				t.Errorf("%s at step %d: %v does not name the place", kind, at, err)
			}
			j, err = Open(t.Context(), dir)
			if failure.KindOf(err) == failure.UsageKind { // the plan did not get to its end
				j, err = Plan(t.Context(), dir, spec(10), inputs(n))
			}
			if err != nil {
				t.Fatalf("%s at step %d: %v", kind, at, err)
			}
			work(t, j, 0, 1)
			if got, err := merged(j); err != nil || got != want {
				t.Errorf("%s at step %d: %v", kind, at, err)
			}
			if at >= len(steps) {
				break
			}
		}
	}
}
