//go:build unix

package activations

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapped gives the first n bytes of f as memory, which outlives f. Owned by the caller, freed by unmap.
func mapped(f *os.File, n int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ, unix.MAP_SHARED)
}

func unmap(data []byte) error { return unix.Munmap(data) }
