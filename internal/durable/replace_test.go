package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
	}
}

// Where the system exchanges names in one step, and where it does not.
func TestSwap(t *testing.T) {
	for _, oneStep := range []bool{true, false} {
		if !oneStep {
			old := exchange
			exchange = func(string, string) error { return errors.ErrUnsupported }
			defer func() { exchange = old }()
		}
		dir := t.TempDir()
		run, fresh, aside := filepath.Join(dir, "run"), filepath.Join(dir, "run.new"), filepath.Join(dir, "run.replaced")
		put(t, filepath.Join(run, "file"), "old")
		put(t, filepath.Join(fresh, "file"), "new")
		if err := Swap(run, fresh, aside, func() {}); err != nil {
			t.Fatal(err)
		}
		holds(t, filepath.Join(run, "file"), "new")
		holds(t, filepath.Join(aside, "file"), "old")
		if _, err := os.Stat(fresh); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", fresh, err)
		}
	}
}

func TestFailedSwapKeepsTheOldFolder(t *testing.T) {
	dir := t.TempDir()
	run, fresh, aside := filepath.Join(dir, "run"), filepath.Join(dir, "run.new"), filepath.Join(dir, "run.replaced")
	put(t, filepath.Join(run, "file"), "old")
	put(t, filepath.Join(fresh, "file"), "new")
	failAt(t, Rename, errors.New("device busy"))
	if err := Swap(run, fresh, aside, func() {}); err == nil || !strings.Contains(err.Error(), run) {
		t.Errorf("error %v does not name %s", err, run)
	}
	holds(t, filepath.Join(run, "file"), "old")
	holds(t, filepath.Join(fresh, "file"), "new")
}

func TestMoveReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a"), "a")
	put(t, filepath.Join(dir, "b"), "b")
	if err := Move(filepath.Join(dir, "b"), filepath.Join(dir, "a")); !errors.Is(err, os.ErrExist) {
		t.Errorf("error %v", err)
	}
	holds(t, filepath.Join(dir, "b"), "b")
}

func TestTarget(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	put(t, in("file"), "x")
	for link, to := range map[string]string{"link": "file", "links": "link", "dangling": "nothing", "to-folder": ".",
		"round": "round"} {
		if err := os.Symlink(to, in(link)); err != nil {
			t.Skipf("skipped: no symbolic links here: %v", err)
		}
		if _, err := os.Lstat(in(link)); err != nil { // wine says that it made one
			t.Skipf("skipped: no symbolic links here: %v", err)
		}
	}
	for name, want := range map[string]string{"file": "file", "new": "new", "link": "file", "links": "file",
		"dangling": "nothing"} {
		if got, err := Target(in(name)); err != nil || got != in(want) {
			t.Errorf("%s leads to %s, %v; want %s", name, got, err, want)
		}
	}
	for _, path := range []string{dir, in("to-folder"), in("round"), os.DevNull} {
		if got, err := Target(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %s, %v; want an error that names it", path, got, err)
		}
	}
}

// What the new folder lacks is not lost, and a process that was killed in the
// middle is made up for.
func TestReplaceFolder(t *testing.T) {
	for _, killed := range []bool{false, true} {
		dir := t.TempDir()
		in := func(name string) string { return filepath.Join(dir, name) }
		put(t, in("lib/a.so"), "old")
		put(t, in("lib/mine/notes.txt"), "of mine")
		put(t, in("fresh/a.so"), "new")
		if killed {
			put(t, in("lib.replaced/a.so"), "older")
			put(t, in("lib.replaced/also.txt"), "of mine")
		}
		if err := ReplaceFolder(in("lib"), in("fresh")); err != nil {
			t.Fatal(err)
		}
		holds(t, in("lib/a.so"), "new")
		holds(t, in("lib/mine/notes.txt"), "of mine")
		if killed {
			holds(t, in("lib/also.txt"), "of mine")
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("left beside it: %v, %v", entries, err)
		}
	}
}
