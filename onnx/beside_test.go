package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/fetch"
	"finetune/internal/home"
)

// An unpacked release has its library in lib beside the program.
func TestLibraryBesideTheProgram(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	t.Setenv("ONNXRUNTIME_LIB", "")
	t.Cleanup(func() { os.RemoveAll(home.Beside("lib")) })
	put := func(path string) string {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte("another"), 0o644)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	beside := put(home.Beside("lib", "onnxruntime-1.32.0-linux-x64", libraryName("1.32.0")))
	if got, err := FindLibrary("cpu"); got != beside || err != nil {
		t.Errorf("%s, %v; want %s", got, err, beside)
	}
	if pinned := home.Beside("lib", "onnxruntime-1.32.0-linux-x64", "libonnxruntime.so.1.32.0"); pinned == beside {
		if _, err := fetch.CheckLibrary(beside); err == nil || !strings.Contains(err.Error(), "damaged, or another file") {
			t.Errorf("a library with another digest: %v", err)
		}
	}
	put(home.Path("runtime", "a", libraryName("1.31.1")))
	if got, err := FindLibrary("cpu"); got != beside || err != nil {
		t.Errorf("%s, %v; want the newer one, %s", got, err, beside)
	}
	fetched := put(home.Path("runtime", "b", libraryName("1.32.0")))
	if got, err := FindLibrary("cpu"); got != fetched || err != nil {
		t.Errorf("%s, %v; want the fetched one of the same version, %s", got, err, fetched)
	}
}
