package failure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSystem(t *testing.T) {
	for _, number := range []syscall.Errno{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE,
		syscall.ETIMEDOUT, syscall.ENOSPC, syscall.EAGAIN} {
		err := fmt.Errorf("reading: %w", &fs.PathError{Op: "read", Path: "a.jpg", Err: number})
		if !System(err) || KindOf(Data(err)) != Other {
			t.Errorf("%v is taken for a bad file", err)
		}
	}
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"absent", "loop", strings.Repeat("x", 4000), "loop/inside"} {
		_, err := os.Open(filepath.Join(dir, name))
		if err == nil || System(err) || KindOf(Data(err)) != DataKind {
			t.Errorf("%.20s: %v is taken for an error of the machine", name, err)
		}
	}
	_, err := os.ReadFile(dir)
	if err == nil || System(err) {
		t.Errorf("a folder: %v", err)
	}
	if err := fmt.Errorf("a bucket: %w", Passing(errors.New("reset"))); !System(err) || KindOf(Data(err)) != Other {
		t.Errorf("%v is taken for a bad file", err)
	}
	if System(nil) || Passing(nil) != nil ||
		System(errors.New("truncated")) || System(syscall.EACCES) || System(fs.ErrPermission) {
		t.Error("no system's errors are taken for such")
	}
}
