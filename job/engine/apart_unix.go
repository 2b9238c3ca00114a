//go:build unix

package engine

import (
	"os/exec"
	"syscall"
)

// apart keeps Ctrl-C at the terminal from a worker, so that the engine alone tells it to
// stop, and says how.
func apart(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
}
