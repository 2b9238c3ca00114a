package activations

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"finetune/internal/faults"
)

// What another process has removed already is gone, as it should be; what the disk keeps is told.
func TestRemoveBesideAnother(t *testing.T) {
	dir := t.TempDir()
	fill(t, open(t, dir, 8), photos(t, 4), FillOptions{})
	list, err := List(dir)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	for cause, gone := range map[syscall.Errno]bool{syscall.ENOENT: true, syscall.EIO: false} {
		faults.Refused(unix.SYS_UNLINKAT, cause, func() {
			if err := Remove(list[0]); (err == nil) != gone {
				t.Errorf("%v: %v", cause, err)
			}
		})
	}
}
