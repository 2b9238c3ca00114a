package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"finetune/internal/failure"
	"finetune/onnx"
)

// Interruptible is ctx that the first Ctrl-C or SIGTERM cancels; a second one ends
// the process at once. Call the function that is returned when all is done.
func Interruptible(ctx context.Context, w io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first, ok := <-signals
		if !ok {
			return
		}
		fmt.Fprintln(w, "\nstopping; once more to stop at once")
		cancel(Signalled{first})
		if _, ok := <-signals; ok {
			os.Exit(int(failure.Interrupted))
		}
	}()
	return ctx, func() { signal.Stop(signals); close(signals); cancel(nil) }
}

// Patience is how long a network may go on computing after a signal.
const Patience = 5 * time.Second

// EndRuns stops networks that compute on, as one that loops without end does, some
// time after a signal has cancelled the work.
func EndRuns(ctx context.Context) {
	context.AfterFunc(ctx, func() {
		if !errors.As(context.Cause(ctx), new(Signalled)) {
			return
		}
		for time.Sleep(Patience); ; time.Sleep(Patience / 5) {
			onnx.Terminate()
		}
	})
}

// Signalled is the cause of a cancelled context: the signal that came.
type Signalled struct{ os.Signal }

func (s Signalled) Error() string { return "interrupted by " + s.String() }

// Is makes it a context.Canceled like any other.
func (s Signalled) Is(target error) bool { return target == context.Canceled }
