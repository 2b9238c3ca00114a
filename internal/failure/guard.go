package failure

import (
	"fmt"
	"runtime/debug"
)

// Guard calls do and turns a panic into an error, of no kind: a fault of the
// program. Use it where a goroutine begins, since a panic there ends the process.
func Guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Fault(p)
		}
	}()
	return do()
}

// Fault is the error of a recovered panic; call it in the deferred function.
func Fault(p any) error {
	return fmt.Errorf("a fault of finetune: %v; please report it with these lines:\n%s", p, debug.Stack())
}
