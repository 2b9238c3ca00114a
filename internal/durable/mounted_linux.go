package durable

import "golang.org/x/sys/unix"

// Mounted reports whether path is where a file system, or a folder of one, is
// mounted: it cannot be renamed then.
func Mounted(path string) bool {
	var s unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &s)
	return err == nil && s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
