package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/plural"
)

// Task is what one part is computed from.
type Task struct {
	Number int
	Inputs []string
	Digest string // SHA-256 of its file, in hex
}

// header is the first line of a task's file, so that one that is cut off or changed can
// be told from the one that was planned.
type header struct {
	Task   int    `json:"task"`
	Rows   int    `json:"rows"`   // lines that follow
	SHA256 string `json:"sha256"` // of these lines, in hex
}

// taskBytes is the file of task n: its header, then an input a line, as a JSON string.
func taskBytes(n int, inputs []string) ([]byte, error) {
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	e.SetEscapeHTML(false)
	for _, in := range inputs {
		if len(in) > maxInput {
			return nil, failure.Data(fmt.Errorf("job: an input of %s, longer than %d: %.80s…", plural.Count(len(in), "byte"),
				maxInput, in))
		}
		if err := e.Encode(in); err != nil {
			return nil, err
		}
	}
	if lines.Len() > maxTask/2 {
		return nil, failure.Usage(fmt.Errorf("job: task %d has %d MB of inputs; plan fewer rows a task", n, lines.Len()>>20))
	}
	head, err := json.Marshal(header{n, len(inputs), digest.Of(lines.String())})
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), lines.Bytes()...), nil
}

// parseTask reads the file of task n, which has to have rows inputs.
func parseTask(data []byte, n, rows int) (Task, error) {
	t := Task{Number: n, Digest: digest.Of(string(data))}
	line, lines, ended := bytes.Cut(data, []byte("\n"))
	var h header
	if err := strict(line, &h); !ended || err != nil {
		return t, errors.New("it does not begin as a task does")
	}
	switch {
	case h.Task != n:
		return t, fmt.Errorf("it is task %d's", h.Task)
	case h.Rows != rows:
		return t, fmt.Errorf("%s, planned were %d", plural.Count(h.Rows, "input"), rows)
	case h.SHA256 != digest.Of(string(lines)):
		return t, errors.New("its bytes are not those that were planned: the file is cut off or changed")
	}
	for line := range bytes.Lines(lines) {
		var in string
		if len(line) > 8*maxInput || len(t.Inputs) == rows {
			return t, errors.New("more inputs, or longer ones, than it says")
		}
		if err := json.Unmarshal(line, &in); err != nil {
			return t, fmt.Errorf("input %d: %w", len(t.Inputs), err)
		}
		t.Inputs = append(t.Inputs, in)
	}
	if len(t.Inputs) != rows {
		return t, fmt.Errorf("%s of %d", plural.Count(len(t.Inputs), "input"), rows)
	}
	return t, nil
}

// Task reads task n. Errors: a file that is missing or damaged is failure.Data.
func (j *Job) Task(ctx context.Context, n int) (Task, error) {
	data, err := j.store.Get(ctx, taskFile(n), maxTask)
	if errors.Is(err, fs.ErrNotExist) {
		return Task{}, failure.Data(fmt.Errorf("job: %s: %s is missing; copy it there again, or plan the job again in "+
			"another folder", j, taskFile(n)))
	}
	if err != nil {
		return Task{}, fmt.Errorf("job: %w", err)
	}
	t, err := parseTask(data, n, j.RowsOf(n))
	if err != nil {
		return t, failure.Data(fmt.Errorf("job: %s: %s: %w; copy it there again, or plan the job again in another folder",
			j, taskFile(n), err))
	}
	return t, nil
}
