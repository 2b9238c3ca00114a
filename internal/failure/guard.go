package failure

import (
	"fmt"
	"runtime/debug"
	"strings"
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
	return &fault{fmt.Sprintf("a fault of finetune: %v; please report it with these lines:", p), string(debug.Stack())}
}

type fault struct{ what, stack string }

func (f *fault) Error() string { return f.what + "\n" + f.stack }

// Lines are the error's text, whose line breaks are meant.
func (f *fault) Lines() []string { return append([]string{f.what}, strings.Split(f.stack, "\n")...) }
