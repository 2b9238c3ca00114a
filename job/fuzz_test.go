package job

import (
	"slices"
	"testing"
)

// Whatever a job.json holds, reading it ends in an error or in numbers that fit.
func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"version":1,"kind":"score","finetune":"v1","options":{},"needs":{"model":"a","reading":"c","runtime":"b"},` +
		`"task_rows":10,"tasks":2,"rows":15,"inputs":"` + digestOfNothing + `"}`))
	f.Add([]byte(`{"version":1,"tasks":1e99}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSpec(data)
		if err != nil {
			return
		}
		var sum int64
		for _, i := range []int{0, s.Tasks - 1} {
			if n := s.RowsOf(i); n < 1 || n > s.TaskRows {
				t.Errorf("task %d of %+v has %d rows", i, s, n)
			}
		}
		if sum = int64(s.Tasks-1)*int64(s.TaskRows) + int64(s.RowsOf(s.Tasks-1)); sum != s.Rows {
			t.Errorf("%+v has %d rows", s, sum)
		}
	})
}

const digestOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Whatever a task's file holds, it is refused or gives the inputs that it was made of.
func FuzzTask(f *testing.F) {
	data, err := taskBytes(3, []string{"a", "b\n", "<é>"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, 3)
	f.Add(data[:20], 1)
	f.Fuzz(func(t *testing.T, data []byte, rows int) {
		task, err := parseTask(data, 3, rows)
		if err != nil {
			return
		}
		again, err := taskBytes(3, task.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := parseTask(again, 3, rows)
		if err != nil || !slices.Equal(task.Inputs, twice.Inputs) {
			t.Errorf("%q, %q, %v", task.Inputs, twice.Inputs, err)
		}
	})
}
