package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where one step of a swap fails, path holds the old folder or the new one, and
// nothing is lost. Steps are counted from 0; one is that path changes hands in
// one step.
func TestSwapFailsAtAnyRename(t *testing.T) {
	for _, tt := range []struct {
		one             bool
		step            int
		run, at, atText string // what path holds then, and where the other folder is
	}{
		{true, 0, "old", "fresh", "new"}, {true, 1, "new", "fresh", "old"},
		{false, 0, "old", "fresh", "new"}, {false, 1, "old", "fresh", "new"}, {false, 2, "old", "fresh", "new"},
	} {
		t.Run("", func(t *testing.T) {
			old := exchange
			t.Cleanup(func() { exchange = old })
			exchange = func(a, b string) error {
				if !tt.one {
					return errors.ErrUnsupported
				}
				aside := a + ".third"
				return errors.Join(os.Rename(a, aside), os.Rename(b, a), os.Rename(aside, b))
			}
			dir := t.TempDir()
			in := func(name string) string { return filepath.Join(dir, name) }
			put(t, in("run/file"), "old")
			put(t, in("fresh/file"), "new")
			failNth(t, Rename, tt.step, errBroken)
			if err := Swap(in("run"), in("fresh"), in("aside"), func() {}); !errors.Is(err, errBroken) {
				t.Errorf("%+v: error %v", tt, err)
			}
			holds(t, in("run/file"), tt.run)
			holds(t, in(tt.at+"/file"), tt.atText)
			if got := names(t, dir); got != "fresh run" {
				t.Errorf("%+v: left are %s", tt, got)
			}
		})
	}
}

// Files are let go ahead of a rename of their folder, and only where there is one.
func TestSwapReleases(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	put(t, in("fresh/file"), "first")
	released := 0
	if err := Swap(in("run"), in("fresh"), in("aside"),
		func() { released++; holds(t, in("fresh/file"), "first") }); err != nil || released != 1 {
		t.Errorf("into an empty place: %v, released %d times", err, released)
	}
	holds(t, in("run/file"), "first")
	put(t, in("fresh/file"), "second")
	old := exchange
	defer func() { exchange = old }()
	exchange = func(string, string) error { return errors.ErrUnsupported }
	if err := Swap(in("run"), in("fresh"), in("aside"),
		func() { released++; holds(t, in("run/file"), "first") }); err != nil || released != 2 {
		t.Errorf("in two steps: %v, released %d times", err, released)
	}
	exchange = func(string, string) error { return errBroken }
	put(t, in("fresh/file"), "third")
	err := Swap(in("run"), in("fresh"), in("aside2"), func() { released++ })
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), in("run")) || released != 2 {
		t.Errorf("a device that is broken: %v, released %d times", err, released)
	}
	holds(t, in("run/file"), "second")
	if err := Swap(in("none"), in("absent"), in("aside2"), func() {}); err == nil ||
		!namesBoth(err, in("none"), in("absent")) {
		t.Errorf("from nowhere: %v", err)
	}
}

// Folders are poured into each other at every depth; where one has a file and
// the other a folder of the same name, the new one stays.
func TestReplaceFolderAtEveryDepth(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a/b/both", "a/b/mine", "a/mine/deep", "file-then-folder", "folder-then-file/x", "z"} {
		put(t, in("lib/"+name), "old")
	}
	for _, name := range []string{"a/b/both", "a/new", "file-then-folder/x", "folder-then-file"} {
		put(t, in("fresh/"+name), "new")
	}
	if err := ReplaceFolder(in("lib"), in("fresh")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a/b/both": "new", "a/b/mine": "old", "a/mine/deep": "old", "a/new": "new", "file-then-folder/x": "new",
		"folder-then-file": "new", "z": "old",
	} {
		holds(t, in("lib/"+name), want)
	}
	if got := names(t, dir) + ": " + names(t, in("lib")); got != "lib: a file-then-folder folder-then-file z" {
		t.Errorf("left are %s", got)
	}
	put(t, in("fresh/only"), "first")
	if err := ReplaceFolder(in("none"), in("fresh")); err != nil {
		t.Error(err)
	}
	holds(t, in("none/only"), "first")
}

// A process was killed between the two steps of a swap: there is nothing at lib.
func TestReplaceFolderThatIsAside(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	put(t, in("lib.replaced/a.so"), "old")
	put(t, in("lib.replaced/mine.txt"), "of mine")
	put(t, in("fresh/a.so"), "new")
	if err := ReplaceFolder(in("lib"), in("fresh")); err != nil {
		t.Fatal(err)
	}
	holds(t, in("lib/a.so"), "new")
	holds(t, in("lib/mine.txt"), "of mine")
	if got := names(t, dir); got != "lib" {
		t.Errorf("left are %s", got)
	}
}

// Whatever step fails, no file of the user's is lost, the error is told, and the next call makes up for it.
func TestReplaceFolderFailsAnywhere(t *testing.T) {
	for _, at := range []Step{Rename, SyncFolder, Delete} {
		for n, failed := 0, true; failed; n++ {
			t.Run("", func(t *testing.T) {
				dir := t.TempDir()
				in := func(name string) string { return filepath.Join(dir, name) }
				for _, name := range []string{"lib/a.so", "lib/sub/x", "lib/mine", "lib.replaced/also", "lib.replaced/sub/y",
					"lib.replaced/a.so"} {
					put(t, in(name), name)
				}
				put(t, in("fresh/a.so"), "new")
				put(t, in("fresh/sub/x"), "new")
				t.Run("", func(t *testing.T) {
					failNth(t, at, n, errBroken)
					err := ReplaceFolder(in("lib"), in("fresh"))
					if failed = err != nil; failed && !errors.Is(err, errBroken) {
						t.Errorf("%s %d: error %v", at, n, err)
					}
					if !failed && names(t, dir) != "lib" {
						t.Errorf("%s %d: no error, and left are %s", at, n, names(t, dir))
					}
				})
				for _, name := range []string{"lib/mine", "lib.replaced/also", "lib.replaced/sub/y"} {
					found := false
					_, rest, _ := strings.Cut(name, "/")
					for _, place := range []string{"lib", "lib.replaced", "fresh"} {
						text, err := os.ReadFile(in(place + "/" + rest))
						found = found || err == nil && string(text) == name
					}
					if !found {
						t.Errorf("%s %d: %s is lost", at, n, name)
					}
				}
			})
			if n > 100 {
				t.Fatal("does not end")
			}
		}
	}
}
