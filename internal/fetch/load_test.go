package fetch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A library is looked for where it is fetched to, and never in the folder that the program was started in.
func TestLoad(t *testing.T) {
	home, here := t.TempDir(), t.TempDir()
	t.Setenv("FINETUNE_HOME", home)
	t.Chdir(here)
	put := func(dir string) string {
		path := filepath.Join(dir, "thing-1.0-"+Platform(), "libthing.so")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("library"), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var opened []string
	open := func(path string) error { opened = append(opened, path); return nil }
	put(here)
	if path, err := Load("thing", "libthing*", open); path != "" || err != nil || opened != nil {
		t.Errorf("from the folder of the start: %q, %v, opened %v", path, err, opened)
	}
	want := put(filepath.Join(home, "runtime"))
	if path, err := Load("thing", "libthing*", open); path != want || err != nil {
		t.Errorf("fetched: %q, %v, want %q", path, err, want)
	}
	broken := errors.New("no ELF")
	path, err := Load("thing", "libthing*", func(string) error { return broken })
	if path != "" || !errors.Is(err, broken) {
		t.Errorf("one that cannot be opened: %q, %v", path, err)
	}
}
