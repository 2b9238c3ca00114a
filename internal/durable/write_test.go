package durable

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// failNth makes step number n of a kind fail, counted from 0, until the test ends.
func failNth(t *testing.T, at Step, n int, cause error) {
	t.Helper()
	old := Before
	Before = func(s Step, path string) error {
		if s != at {
			return nil
		}
		if n--; n == -1 {
			return cause
		}
		return nil
	}
	t.Cleanup(func() { Before = old })
}

// names are a folder's entries.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

var errBroken = errors.New("device broken")

// An error of who fills the file keeps the old one, however much was written before it.
func TestFailedFillKeepsTheOldFile(t *testing.T) {
	for _, n := range []int{0, 1000, 200_000} {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		put(t, path, "old")
		err := Write(path, func(w io.Writer) error {
			if _, err := w.Write(make([]byte, n)); err != nil {
				t.Error(err)
			}
			return errBroken
		})
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), path) {
			t.Errorf("%d bytes: error %v", n, err)
		}
		holds(t, path, "old")
		if got := names(t, dir); got != "file" {
			t.Errorf("%d bytes: left are %s", n, got)
		}
	}
}

// Small writes reach the disk in steps of 64 KB, and all of them do.
func TestWriteGathersSmallWrites(t *testing.T) {
	seen := failAt(t, "", nil)
	path := filepath.Join(t.TempDir(), "file")
	piece := []byte(strings.Repeat("0123456789", 10))
	err := Write(path, func(w io.Writer) error {
		for range 2000 {
			if _, err := w.Write(piece); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, strings.Repeat(string(piece), 2000))
	steps := 0
	for _, s := range *seen {
		if s == Data {
			steps++
		}
	}
	if steps != 4 { // three of 65,536 bytes and the rest of 200,000
		t.Errorf("%d steps of writing, want 4", steps)
	}
}

// A step that is made to fail leaves half of its bytes, as a full disk does.
func TestFailedDataIsHalfWritten(t *testing.T) {
	failAt(t, Data, errBroken)
	var disk bytes.Buffer
	n, err := (&file{&disk, "x"}).Write([]byte("abcdef"))
	if n != 3 || disk.String() != "abc" || !errors.Is(err, errBroken) {
		t.Errorf("%d bytes, %q, %v", n, disk.String(), err)
	}
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	put(t, in("from"), "new")
	put(t, in("to"), "old")
	if err := Copy(in("to"), in("from")); err != nil {
		t.Error(err)
	}
	holds(t, in("to"), "new")
	for _, bad := range []string{dir, in("from/below")} { // a folder, and a file as a folder
		if err := Copy(in("to"), bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("copied from %s: %v", bad, err)
		}
		holds(t, in("to"), "new")
	}
	for range 2 { // the second time there is nothing to remove
		if err := Copy(in("to"), in("absent")); err != nil {
			t.Error(err)
		}
		if got := names(t, dir); got != "from" {
			t.Errorf("left are %s", got)
		}
	}
}

func TestPlace(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	put(t, in("file"), "old")
	put(t, in("new"), "new")
	seen := failAt(t, "", nil)
	if err := Place(in("file"), in("new")); err != nil {
		t.Error(err)
	}
	if !slices.Equal(*seen, []Step{Rename, SyncFolder}) {
		t.Errorf("steps %v", *seen)
	}
	holds(t, in("file"), "new")
	put(t, in("folder/x"), "x")
	if err := Place(in("folder"), in("file")); err == nil || !namesBoth(err, in("folder"), in("file")) {
		t.Errorf("placed over a folder: %v", err)
	}
	holds(t, in("file"), "new")
	holds(t, in("folder/x"), "x")
	if got := names(t, dir); got != "file folder" {
		t.Errorf("left are %s", got)
	}
	for _, at := range []Step{Rename, SyncFolder} {
		t.Run(string(at), func(t *testing.T) {
			put(t, in("next"), "next")
			failAt(t, at, errBroken)
			if err := Place(in("file"), in("next")); !errors.Is(err, errBroken) {
				t.Errorf("error %v", err)
			}
			holds(t, in("file"), map[Step]string{Rename: "new", SyncFolder: "next"}[at])
		})
	}
}

// namesBoth reports whether an error names each of two paths once.
func namesBoth(err error, a, b string) bool {
	text := strings.ReplaceAll(err.Error()+" ", ": ", " ")
	return strings.Count(text, a+" ") == 1 && strings.Count(text, b+" ") == 1
}

func TestMove(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := Move(in("to"), in("absent")); !errors.Is(err, os.ErrNotExist) || !namesBoth(err, in("to"), in("absent")) {
		t.Errorf("moved from nowhere: %v", err)
	}
	put(t, in("a"), "a")
	put(t, in("b"), "b")
	if err := Move(in("a"), in("b")); !errors.Is(err, os.ErrExist) || !namesBoth(err, in("a"), in("b")) {
		t.Errorf("moved over a file: %v", err)
	}
	seen := failAt(t, "", nil)
	if err := Move(in("c"), in("b")); err != nil {
		t.Error(err)
	}
	if !slices.Equal(*seen, []Step{Rename, SyncFolder}) || names(t, dir) != "a c" {
		t.Errorf("steps %v, left are %s", *seen, names(t, dir))
	}
	for _, at := range []Step{Rename, SyncFolder} {
		t.Run(string(at), func(t *testing.T) {
			failAt(t, at, errBroken)
			if err := Move(in("d"), in("c")); !errors.Is(err, errBroken) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "folder")
	put(t, filepath.Join(path, "below", "x"), "x")
	t.Run("fails", func(t *testing.T) {
		failAt(t, Delete, errBroken)
		if err := Remove(path); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v", err)
		}
		holds(t, filepath.Join(path, "below", "x"), "x")
	})
	for range 2 { // none is fine
		if err := Remove(path); err != nil {
			t.Error(err)
		}
		if got := names(t, dir); got != "" {
			t.Errorf("left are %s", got)
		}
	}
}

// A folder or a link of a temporary file's name is nobody's half-written file.
func TestSweepLeavesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	folder, link := filepath.Join(dir, ".a1234567890"), filepath.Join(dir, ".b1234567890")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nothing", link); err != nil {
		t.Skip(err)
	}
	before := names(t, dir)
	Sweep(dir, func(string) bool { return true })
	if got := names(t, dir); got != before {
		t.Errorf("left are %s of %s", got, before)
	}
	Sweep(filepath.Join(dir, "absent"), func(string) bool { return true })
}

func TestTemporaryHasAName(t *testing.T) {
	if Temporary(".1234567890", func(string) bool { return true }) {
		t.Error("a file without a name of its own")
	}
}

func TestSizeAtAThousand(t *testing.T) {
	for n, want := range map[int64]string{1: "1 byte", 1000: "1.0 kB", 999_900: "999.9 kB", 1_000_000: "1.0 MB",
		1_000_000_000: "1.0 GB"} {
		if got := size(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
}
