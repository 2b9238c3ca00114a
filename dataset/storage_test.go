package dataset

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"finetune/internal/failure"
	"finetune/internal/reading"
)

// A file that cannot be read because the disk fails would be drawn to another
// split than its content says.
func TestSplitWaitsForTheStorage(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.jpg", "b/2.jpg", "b/3.jpg"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	before, pauses := reading.Before, reading.Pauses
	defer func() { reading.Before, reading.Pauses = before, pauses }()
	reading.Pauses = []time.Duration{time.Millisecond}
	reading.Before = func(path string) error {
		if filepath.Base(path) == "2.jpg" {
			return &fs.PathError{Op: "read", Path: path, Err: syscall.EIO}
		}
		return nil
	}
	_, err := Open(dir, Options{ValidPct: 0.34})
	if err == nil || failure.KindOf(err) != failure.Other || !strings.Contains(err.Error(), "2.jpg") {
		t.Errorf("error %v, want one of the machine that names the file", err)
	}
}
