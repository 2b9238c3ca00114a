// Package uitest has stand-ins for the person at the terminal.
package uitest

import (
	"fmt"
	"testing"
)

// Quiet says nothing.
type Quiet struct{}

func (Quiet) Say(string, ...any)  {}
func (Quiet) Warn(string, ...any) {}
func (Quiet) Header(...string)    {}
func (Quiet) Row(...string)       {}
func (Quiet) Progress(string, string) (func(done, total int), func()) {
	return func(int, int) {}, func() {}
}

// Logged is Quiet, but for warnings, which go to the test's log.
type Logged struct {
	Quiet
	T testing.TB
}

func (l Logged) Warn(format string, args ...any) { l.T.Logf(format, args...) }

// Heard keeps what was said.
type Heard struct {
	Quiet
	Said, Warned []string
}

func (h *Heard) Say(format string, args ...any) {
	h.Said = append(h.Said, fmt.Sprintf(format, args...))
}
func (h *Heard) Warn(format string, args ...any) {
	h.Warned = append(h.Warned, fmt.Sprintf(format, args...))
}
