// Package engine starts the workers of a job.
//
// A worker is a process that takes numbers of tasks and writes their parts (package job).
// Local runs workers on this machine and looks after them. Other engines are those of
// clusters, which start the same command.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"sync"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/job"
)

const (
	tries     = 3  // of a task, and of starting a worker
	maxFailed = 10 // tasks that fail before the engine gives up
)

// Local is an engine of processes on this machine.
type Local struct {
	// Worker is a process that prints a job.Done with the state Ready, then one for each
	// number that it reads, a line each; it ends where its input does.
	Worker  func() *exec.Cmd
	Workers int
	Left    iter.Seq[int]    // the tasks to do; nil: those that the job says are left
	Tell    func(d job.Done) // of each task that is done; one call at a time
	Stderr  io.Writer        // where workers' warnings go
}

// Failure is a task that could not be done.
type Failure struct {
	Task  int
	Tries int
	Err   error
}

// Run does the tasks of j that are left, or those of Left. A worker that dies is replaced, and its task is
// tried again, three times at most; what a worker says is wrong with flags or data (exit
// codes 2 and 3) is not tried again. Where ctx ends, workers are told to stop.
func (l Local) Run(ctx context.Context, j *job.Job) error {
	left := l.Left
	if left == nil {
		var err error
		if left, err = j.Left(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next, stop := iter.Pull(left)
	defer stop()
	r := &running{Local: l, job: j, next: next, cancel: cancel}
	r.changed = sync.NewCond(&r.mu)
	context.AfterFunc(ctx, func() { r.mu.Lock(); r.changed.Broadcast(); r.mu.Unlock() })
	var all sync.WaitGroup
	for range max(l.Workers, 1) {
		all.Go(func() { r.slot(ctx) })
	}
	all.Wait()
	return r.result(ctx)
}

// try is a task and how often it was given to a worker.
type try struct{ task, n int }

// running is one Run.
type running struct {
	Local
	job    *job.Job
	cancel context.CancelCauseFunc // ends it all with an error

	mu      sync.Mutex
	changed *sync.Cond // again and busy
	next    func() (int, bool)
	again   []try // to be tried again
	busy    int   // tasks that workers have
	failed  []Failure
	done    int
}

// take waits for a task; false where all are done, failed or given up.
func (r *running) take(ctx context.Context) (try, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if ctx.Err() != nil {
			return try{}, false
		}
		if n, ok := r.next(); ok {
			r.busy++
			return try{n, 1}, true
		}
		if len(r.again) > 0 {
			t := r.again[0]
			r.again, r.busy = r.again[1:], r.busy+1
			return t, true
		}
		if r.busy == 0 {
			return try{}, false
		}
		r.changed.Wait()
	}
}

// settle notes what came of a task.
func (r *running) settle(ctx context.Context, t try, d job.Done, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.changed.Broadcast()
	r.busy--
	switch {
	case err == nil:
		r.done++
		if r.Tell != nil {
			r.Tell(d)
		}
	case ctx.Err() != nil: // the worker was told to stop
	case !hopeless(err) && t.n < tries:
		r.again = append(r.again, try{t.task, t.n + 1})
	default:
		r.failed = append(r.failed, Failure{t.task, t.n, err})
		if len(r.failed) == maxFailed {
			r.cancel(fmt.Errorf("%d tasks failed", maxFailed))
		}
	}
}

// hopeless reports an error that comes again at every try.
func hopeless(err error) bool {
	kind := failure.KindOf(err)
	return kind == failure.UsageKind || kind == failure.DataKind
}

// slot keeps one worker alive while there are tasks.
func (r *running) slot(ctx context.Context) {
	var w *worker
	defer func() { w.end() }()
	for {
		t, ok := r.take(ctx)
		if !ok {
			return
		}
		var err error
		if w == nil {
			if w, err = r.start(ctx); err != nil {
				r.cancel(err)
				r.settle(ctx, t, job.Done{}, err)
				return
			}
		}
		d, err := w.do(t.task)
		if err != nil {
			w = nil
			var killed *exec.ExitError
			if errors.As(err, &killed) && !killed.Exited() && ctx.Err() == nil { // it could not say so itself
				err = errors.Join(err, r.job.Failed(ctx, t.task, err))
			}
		}
		r.settle(ctx, t, d, err)
	}
}

// start starts a worker, and again where it dies before it is ready.
func (r *running) start(ctx context.Context) (w *worker, err error) {
	for range tries {
		w, err = startWorker(ctx, r.Worker(), r.Stderr)
		if err == nil || ctx.Err() != nil || hopeless(err) {
			break
		}
	}
	return w, err
}

func (r *running) result(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case ctx.Err() == nil && len(r.failed) == 0:
		return nil
	case ctx.Err() == nil || len(r.failed) == maxFailed:
		return r.failures()
	case errors.Is(cause, context.Canceled):
		return fmt.Errorf("stopped after %s, which are kept; run the same command again to continue: %w",
			plural.Count(r.done, "task"), cause)
	default:
		return cause
	}
}

// failures are the tasks that failed; the kind of the first counts.
func (r *running) failures() error {
	var list []job.Fail
	for _, f := range r.failed {
		list = append(list, job.Fail{Task: f.Task, Error: fmt.Sprintf("tried %s: %v", plural.Count(f.Tries, "time"), f.Err)})
	}
	more := "the others are done"
	if len(list) == maxFailed {
		more = "the engine gave up"
	}
	err := fmt.Errorf("job: %s: %s failed, %s; fix the cause and run the job again", r.job,
		plural.Count(len(list), "task"), more)
	for _, why := range job.Reasons(list) {
		err = fmt.Errorf("%w\n%s, %s", err, why, why.Error)
	}
	switch failure.KindOf(r.failed[0].Err) {
	case failure.UsageKind:
		return failure.Usage(err)
	case failure.DataKind:
		return failure.Data(err)
	}
	return err
}
