package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/durable"
	"finetune/internal/faults"
)

// The system itself refuses: a name that is a folder's cannot be taken by rename.
func TestRealRenameFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "taken")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("x")); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("written over a folder: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left beside it: %v, %v", entries, err)
	}
	if err := durable.Place(path, filepath.Join(path, "absent")); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("placed from nowhere: %v", err)
	}
}

// A folder that cannot be listed can be written into; one that cannot be written into is told.
func TestRealPermissions(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, mode := range []os.FileMode{0o333, 0o555} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		err := faults.Unprivileged(func() error { return durable.WriteFile("file", []byte("x")) })
		if mode == 0o333 && err != nil {
			t.Errorf("a folder that cannot be listed: %v", err)
		}
		if mode == 0o555 && !errors.Is(err, os.ErrPermission) {
			t.Errorf("a folder that cannot be written into: %v", err)
		}
	}
	if err := faults.Unprivileged(func() error { return durable.Remove("file") }); !errors.Is(err, os.ErrPermission) {
		t.Errorf("removed from it: %v", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
}
