//go:build unix

package fetch

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// stamp changes when the file does: its size, inode and times, of which the time
// of the last change of the inode cannot be set back. "" where it cannot be read.
func stamp(file string) string {
	var s unix.Stat_t
	if err := unix.Stat(file, &s); err != nil {
		return ""
	}
	return fmt.Sprint(s.Size, s.Ino, s.Dev, s.Mtim, s.Ctim)
}
