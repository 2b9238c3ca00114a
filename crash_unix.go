//go:build unix

package main

import (
	"runtime/debug"
	"syscall"
)

// A crash that nothing can catch (in a library, in another goroutine, for want of
// memory) would end with Go's exit code 2, which means here that a flag is wrong.
// It ends with SIGABRT instead, without leaving gigabytes of memory on the disk.
func init() {
	debug.SetTraceback("crash")
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit) // a core file is a nuisance, no harm
	}
}
