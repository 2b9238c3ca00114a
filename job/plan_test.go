package job

import (
	"errors"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/store"
)

func TestOpenSaysWhatIsNoJob(t *testing.T) {
	onEach(t, func(t *testing.T, place, other string) {
		if _, err := Open(t.Context(), place); failure.KindOf(err) != failure.UsageKind ||
			!strings.Contains(err.Error(), "finetune plan") {
			t.Errorf("%v", err)
		}
		j := plan(t, place, 10, 40)
		if _, err := Plan(t.Context(), place, spec(10), inputs(3)); failure.KindOf(err) != failure.UsageKind {
			t.Errorf("planned twice: %v", err)
		}
		data, err := j.store.Get(t.Context(), File, maxSpec)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"", "{}", string(data[:len(data)/2]), string(data) + "{}",
			strings.Replace(string(data), `"rows": 40`, `"rows": 41`, 1),
			strings.Replace(string(data), `"kind"`, `"kinds"`, 1)} {
			if err := j.store.Put(t.Context(), File, store.Bytes([]byte(bad))); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), place); failure.KindOf(err) != failure.DataKind ||
				!strings.Contains(err.Error(), File) {
				t.Errorf("%.20q: %v", bad, err)
			}
		}
	})
}

// A plan that ends early leaves nothing that looks like a job; the next one works, and
// nothing of the first stays.
func TestAPlanThatEndsEarly(t *testing.T) {
	onEach(t, func(t *testing.T, place, other string) {
		broken := errors.New("the list broke off")
		_, err := Plan(t.Context(), place, spec(2), func(yield func(string) error) error {
			return errors.Join(inputs(31)(yield), broken)
		})
		if !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
		if _, err := Open(t.Context(), place); failure.KindOf(err) != failure.UsageKind {
			t.Errorf("%v", err)
		}
		j, fresh := plan(t, place, 10, 31), plan(t, other, 10, 31)
		if j.ID != fresh.ID {
			t.Error("planned again is another job")
		}
		var names []string
		err = j.store.List(t.Context(), "tasks/", func(e store.Entry) error { names = append(names, e.Name); return nil })
		if err != nil || len(names) != 4 {
			t.Errorf("%v, %v", names, err)
		}
		for _, none := range []func(func(string) error) error{inputs(0),
			func(yield func(string) error) error { return yield(strings.Repeat("x", maxInput+1)) }} {
			if _, err := Plan(t.Context(), place+"x", spec(2), none); err == nil {
				t.Error("no inputs, or one too long, made a job")
			}
		}
		for _, rows := range []int{0, -1, MaxTaskRows + 1} {
			if _, err := Plan(t.Context(), place+"y", spec(rows), inputs(3)); failure.KindOf(err) != failure.UsageKind {
				t.Errorf("%d rows a task: %v", rows, err)
			}
		}
	})
}
