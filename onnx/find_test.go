package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/home"
)

// A folder that cannot be listed is not a folder without libraries.
func TestFolderThatCannotBeListed(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	t.Setenv("ONNXRUNTIME_LIB", "")
	if err := os.WriteFile(home.Path("runtime"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := FindLibrary("cpu")
	if err == nil || errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), home.Path("runtime")) {
		t.Errorf("%v, want the error of the system, which names the folder", err)
	}
}

func TestNewestVersion(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/" + libraryName("1.9.1"), "b/" + libraryName("1.31.1"), "b/libother.so", "c/readme",
		"file"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want := filepath.Join(dir, "b", libraryName("1.31.1"))
	folders, err := subfolders(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newest(folders, "cpu"); got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if got, err := subfolders(filepath.Join(dir, "absent")); len(got) > 0 || err != nil {
		t.Errorf("no folder: %q, %v", got, err)
	}
}

func libraryName(version string) string {
	return strings.NewReplacer(".*", "."+version+".", "*", "."+version).Replace(libraryPattern())
}

func TestListOfProcessors(t *testing.T) {
	if err := listsProcessors(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("no list: %v", err)
	}
	// reading a folder fails as a bad disk does
	if err := listsProcessors(t.TempDir()); err == nil || !strings.Contains(err.Error(), "cannot start") {
		t.Errorf("a list that cannot be read: %v", err)
	}
}
