package parts_test

import (
	"errors"
	"math"
	"os"
	"testing"

	"finetune/dataset"
	"finetune/head"
	"finetune/internal/jobtest"
	"finetune/learner/runs"
)

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// What is measured in a stream is what Measure says of all rows together.
func TestMeasureInAStream(t *testing.T) {
	for _, multi := range []bool{false, true} {
		m := jobtest.Made{Train: 10, Valid: 5000, Width: 6, Classes: 3, TaskRows: 700, Bad: 11, Multi: multi}
		set := made(t, m)
		h, err := head.New(head.Config{In: 6, Classes: 3, Hidden: []int{4}, Seed: 3, Multi: multi})
		if err != nil {
			t.Fatal(err)
		}
		var items []dataset.Item
		var rows [][]float32
		for i := 10; i < 5010; i++ {
			if i%11 == 0 {
				continue
			}
			row, it := make([]float32, 6), dataset.Item{Label: i % 3, Labels: []int{i % 3}}
			m.Features(row, i)
			if i%3 == 0 {
				it.Labels = []int{0, 1}
			}
			items, rows = append(items, it), append(rows, row)
		}
		logp, err := h.Predict(rows)
		if err != nil {
			t.Fatal(err)
		}
		want := runs.Measure(logp, items, 3, multi)
		got, err := set.Measure(t.Context(), h)
		if err != nil || math.Abs(got.Loss-want.Loss) > 1e-6 || math.Abs(got.Accuracy-want.Accuracy) > 1e-9 {
			t.Errorf("several labels %v: %+v, %v, want %+v", multi, got, err, want)
		}
		n, stop := 0, errors.New("stop")
		err = set.Unreadable(t.Context(), func(s runs.Skipped) error {
			if n++; s.Reason != "made up" || s.Status != "unreadable" || s.Path == "" {
				t.Errorf("%+v", s)
			}
			return nil
		})
		if err != nil || n != set.Skipped {
			t.Errorf("%d unreadable, %v, want %d", n, err, set.Skipped)
		}
		if err := set.Unreadable(t.Context(), func(runs.Skipped) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
		if mj := set.Majority(); (mj == nil) != multi {
			t.Errorf("%v", mj)
		}
	}
}
