//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// resident is the most memory that an ended process held, in bytes; 0 where the system does not say.
func resident(p *os.ProcessState) int64 {
	u, ok := p.SysUsage().(*syscall.Rusage)
	switch {
	case !ok:
		return 0
	case runtime.GOOS == "darwin": // in bytes there, in kilobytes elsewhere
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) << 10
}
