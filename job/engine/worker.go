package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"finetune/internal/failure"
	"finetune/job"
)

const (
	patience  = 15 * time.Second // that a worker has to stop when it is told to
	lastWords = 2000             // bytes of what a worker said that an error repeats
	longest   = 1 << 16          // bytes of a line that a worker prints
)

// worker is a process that takes numbers.
type worker struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  *bufio.Scanner
	stderr *said
}

// startWorker starts a process and waits until it is ready.
func startWorker(ctx context.Context, c *exec.Cmd, stderr io.Writer) (*worker, error) {
	w := &worker{cmd: exec.CommandContext(ctx, c.Path), stderr: &said{to: stderr}}
	w.cmd.Args, w.cmd.Env, w.cmd.Dir, w.cmd.Err = c.Args, c.Env, c.Dir, c.Err
	w.cmd.Stderr, w.cmd.WaitDelay = w.stderr, patience
	apart(w.cmd)
	var out io.ReadCloser
	var err error
	if w.in, err = w.cmd.StdinPipe(); err == nil {
		out, err = w.cmd.StdoutPipe()
	}
	if err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("job: a worker cannot be started: %w", err)
	}
	w.lines = bufio.NewScanner(out)
	w.lines.Buffer(nil, longest)
	if d, err := w.read(); err != nil {
		return nil, err
	} else if d.State != job.Ready {
		return nil, w.broken(fmt.Errorf("it began with %+v", d))
	}
	return w, nil
}

// do has the worker do a task. After an error it is gone.
func (w *worker) do(task int) (job.Done, error) {
	if _, err := fmt.Fprintln(w.in, task); err != nil {
		return job.Done{}, w.dead()
	}
	d, err := w.read()
	if err == nil && (d.Task != task || d.State != job.Computed && d.State != job.There) {
		err = w.broken(fmt.Errorf("asked for task %d, it answered %+v", task, d))
	}
	return d, err
}

// read is the next line of the worker.
func (w *worker) read() (d job.Done, err error) {
	if !w.lines.Scan() {
		return d, w.dead()
	}
	if err := json.Unmarshal(w.lines.Bytes(), &d); err != nil {
		return d, w.broken(fmt.Errorf("it printed %.200q", w.lines.Text()))
	}
	return d, nil
}

// broken ends a worker that does not keep to the protocol.
func (w *worker) broken(why error) error {
	_ = w.cmd.Process.Kill() // it is gone already, or goes
	_ = w.cmd.Wait()
	return fmt.Errorf("job: a worker that is none: %w", why)
}

// dead is why the worker has ended, of the kind that its exit code says.
func (w *worker) dead() error {
	err := w.cmd.Wait()
	if err == nil {
		err = errors.New("it ended without being told to")
	}
	if words := w.stderr.last(); words != "" {
		err = fmt.Errorf("%w: %s", err, words)
	} else {
		err = fmt.Errorf("a worker: %w", err)
	}
	switch failure.Kind(w.cmd.ProcessState.ExitCode()) {
	case failure.UsageKind:
		return failure.Usage(err)
	case failure.DataKind:
		return failure.Data(err)
	}
	return err
}

// end lets a worker that waits for a number go. None is fine.
func (w *worker) end() {
	if w == nil {
		return
	}
	_ = w.in.Close() // it reads the end; where it is gone, Wait says nothing new
	_ = w.cmd.Wait()
}

// said passes on what a worker says, line by line, and keeps the last of it.
type said struct {
	to   io.Writer
	mu   sync.Mutex
	rest []byte // of a line that has not ended
	tail []byte
}

// passing keeps lines of several workers whole.
var passing sync.Mutex

// Write implements io.Writer.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail = append(s.tail, p...)
	s.tail = s.tail[max(0, len(s.tail)-lastWords):]
	s.rest = append(s.rest, p...)
	if end := bytes.LastIndexByte(s.rest, '\n'); end >= 0 && s.to != nil {
		passing.Lock()
		_, _ = s.to.Write(s.rest[:end+1]) // whoever cannot read warnings gets the parts all the same
		passing.Unlock()
		s.rest = append(s.rest[:0], s.rest[end+1:]...)
	}
	if len(s.rest) > longest {
		s.rest = s.rest[:0]
	}
	return len(p), nil
}

// last is what the worker said last.
func (s *said) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ToValidUTF8(strings.TrimSpace(string(s.tail)), "")
}
