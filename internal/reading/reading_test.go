package reading

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"finetune/internal/failure"
)

func TestFile(t *testing.T) {
	pauses, before := Pauses, Before
	defer func() { Pauses, Before = pauses, before }()
	Pauses = []time.Duration{1, 1}
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("photo"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		number syscall.Errno
		fails  int // the first tries
		tries  int // that are made
		ok     bool
		advice string
	}{{0, 0, 1, true, ""}, {syscall.EIO, 2, 3, true, ""},
		{syscall.EIO, 9, 3, false, "the storage or the machine is to blame, not the file: run the command again"},
		{syscall.EMFILE, 9, 3, false, "a limit of this machine is to blame, not the file: raise it with `ulimit -n`"},
		{syscall.ENFILE, 9, 3, false, "a limit of this machine is to blame, not the file: raise it with `ulimit -n`"},
		{syscall.EACCES, 1, 1, false, ""}} {
		tries := 0
		Before = func(string) error {
			if tries++; tries <= c.fails {
				return &fs.PathError{Op: "open", Path: path, Err: c.number}
			}
			return nil
		}
		data, err := File(path, 100)
		if (err == nil) != c.ok || c.ok && string(data) != "photo" || tries != c.tries {
			t.Errorf("%v failing %d times: %q, %v after %d tries, want %d", c.number, c.fails, data, err, tries, c.tries)
		}
		if failure.System(err) != (err != nil && c.tries > 1) ||
			c.tries > 1 && err != nil && !strings.Contains(err.Error(), "in each of 3 tries; "+c.advice) {
			t.Errorf("%v", err)
		}
	}
	Before = before
	if _, err := File(path, 4); err == nil {
		t.Error("a file beyond the limit is read")
	}
	if _, err := File(path+"x", 4); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
