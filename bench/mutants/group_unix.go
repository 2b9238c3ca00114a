//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// alone gives a command a process group of its own and ends the whole group when the command's time is up.
func alone(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
