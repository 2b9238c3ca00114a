//go:build !unix

package engine

import "os/exec"

// apart does nothing here: a worker that is to stop is killed, which loses its task alone.
func apart(*exec.Cmd) {}
