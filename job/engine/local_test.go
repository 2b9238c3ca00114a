//go:build unix

package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"finetune/internal/failure"
	"finetune/job"
	"finetune/scores"
)

// TestMain makes this binary a worker where WORKER names a job.
func TestMain(m *testing.M) {
	if place := os.Getenv("WORKER"); place != "" {
		os.Exit(int(worked(place)))
	}
	os.Exit(m.Run())
}

func worked(place string) failure.Kind {
	if os.Getenv("START") != "" {
		fmt.Fprintln(os.Stderr, "no model here")
		return failure.DataKind
	}
	j, err := job.Open(context.Background(), place)
	if err == nil {
		err = j.Stream(context.Background(), upper{}, os.Stdin, func(d job.Done) error {
			return json.NewEncoder(os.Stdout).Encode(d)
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return failure.KindOf(err)
	}
	return 0
}

// upper computes inputs in capitals. Inputs tell it to die, for ever or once.
type upper struct{}

func (upper) Close() error { return nil }

func (upper) Compute(_ context.Context, t job.Task) (r job.Rows, err error) {
	r.Columns = []scores.Column{{Name: "path"}, {Name: "upper"}}
	for _, in := range t.Inputs {
		mark := filepath.Join(os.Getenv("MARKS"), fmt.Sprint(t.Number))
		switch _, err := os.Stat(mark); {
		case strings.HasPrefix(in, "poison"):
			return r, errors.New("this input is poisoned")
		case strings.HasPrefix(in, "bad"):
			return r, failure.Data(errors.New("this input is bad"))
		case strings.HasPrefix(in, "die"), strings.HasPrefix(in, "once") && errors.Is(err, os.ErrNotExist):
			if err := os.WriteFile(mark, nil, 0o666); err != nil {
				return r, err
			}
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Hour)
		case strings.HasPrefix(in, "slow"):
			time.Sleep(time.Hour)
		}
		r.Rows = append(r.Rows, scores.Row{{Text: in}, {Text: strings.ToUpper(in)}})
		r.Status = append(r.Status, "ok")
	}
	return r, nil
}

// planned is a job of a task an input.
func planned(t *testing.T, inputs ...string) *job.Job {
	t.Helper()
	j, err := job.Plan(t.Context(), filepath.Join(t.TempDir(), "j"), job.Spec{Kind: "upper", Options: []byte("{}"),
		Needs: job.Needs{Model: "m", Reading: "r", Runtime: "1"}, TaskRows: 1}, func(yield func(string) error) error {
		for _, in := range inputs {
			if err := yield(in); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func local(t *testing.T, j *job.Job, env ...string) (Local, *bytes.Buffer) {
	marks, said := t.TempDir(), new(bytes.Buffer)
	return Local{Workers: 3, Stderr: said, Worker: func() *exec.Cmd {
		c := exec.Command(os.Args[0])
		c.Env = append(append(os.Environ(), "WORKER="+j.String(), "MARKS="+marks), env...)
		return c
	}}, said
}

func TestWorkersThatDieAreReplaced(t *testing.T) {
	var inputs []string
	for i := range 30 {
		inputs = append(inputs, fmt.Sprintf("%s%d", map[bool]string{true: "once", false: "a"}[i%7 == 0], i))
	}
	j := planned(t, inputs...)
	l, _ := local(t, j)
	told := map[int]int{}
	l.Tell = func(d job.Done) { told[d.Task]++ }
	if err := l.Run(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := j.Merge(t.Context(), func(c []scores.Column, each func(yield func(scores.Row) error) error) error {
		return scores.WriteTo(&out, scores.CSV, c, each, false)
	})
	want := "path,upper\n"
	for _, in := range inputs {
		want += in + "," + strings.ToUpper(in) + "\n"
	}
	if err != nil || out.String() != want || len(told) != 30 {
		t.Errorf("%d told, %v\n%s", len(told), err, out.String())
	}
	if s, err := j.Status(t.Context()); err != nil || s.Done != 30 || len(s.Failed) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	l.Worker = func() *exec.Cmd { t.Error("a worker for a job that is done"); return exec.Command("false") }
	if err := l.Run(t.Context(), j); err != nil {
		t.Error(err)
	}
}

func TestTasksThatCannotBeDoneAreNamed(t *testing.T) {
	j := planned(t, "a", "poison", "b", "bad", "c", "die", "d")
	l, _ := local(t, j)
	err := l.Run(t.Context(), j)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"3 tasks failed", "task 1, tried 3 times", "poisoned", "task 3, tried 1 time",
		"this input is bad", "task 5, tried 3 times", "killed", "the others are done"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing: %v", want, err)
		}
	}
	s, err := j.Status(t.Context())
	if err != nil || s.Done != 4 || len(s.Failed) != 3 || !strings.Contains(s.Failed[2].Error, "killed") ||
		!strings.Contains(s.Failed[0].Error, "poisoned") {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAnEngineGivesUp(t *testing.T) {
	var inputs []string
	for range 100 {
		inputs = append(inputs, "bad")
	}
	j := planned(t, inputs...)
	l, _ := local(t, j)
	if err := l.Run(t.Context(), j); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), "gave up") {
		t.Errorf("%v", err)
	}
	l, _ = local(t, j, "START=fails")
	if err := l.Run(t.Context(), j); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), "no model here") {
		t.Errorf("%v", err)
	}
	for name, command := range map[string]*exec.Cmd{"ended": exec.Command("true"), "began": exec.Command("echo", "{}"),
		"cannot be started": exec.Command("/nonexistent/worker"), "printed": exec.Command("echo", "hello")} {
		l.Worker = func() *exec.Cmd { c := *command; return &c }
		if err := l.Run(t.Context(), j); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnEngineStopsItsWorkers(t *testing.T) {
	j := planned(t, "a", "slow", "b", "slow", "c", "slow", "d", "slow")
	l, _ := local(t, j)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var started []*exec.Cmd
	command := l.Worker
	l.Worker = func() *exec.Cmd {
		mu.Lock()
		defer mu.Unlock()
		started = append(started, command())
		return started[len(started)-1]
	}
	done := 0
	l.Tell = func(job.Done) {
		if done++; done == 3 {
			cancel()
		}
	}
	start := time.Now()
	err := l.Run(ctx, j)
	if failure.KindOf(err) != failure.Interrupted || !strings.Contains(err.Error(), "3 tasks") {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > patience {
		t.Errorf("it took %s to stop", took)
	}
	if s, err := j.Status(t.Context()); err != nil || s.Done != 3 || len(s.Failed) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
