package fetch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/home"
)

// Every folder that can be fetched from packages has its library's digest pinned.
func TestEveryRuntimeIsPinned(t *testing.T) {
	folders := map[string]bool{}
	for name, sum := range libraries() {
		if len(sum) != 64 || strings.Count(name, "/") != 1 {
			t.Errorf("pins/libraries.txt: %q %q", sum, name)
		}
		folders[filepath.Dir(name)] = true
	}
	for platform := range pipPlatforms {
		if dir := runtimeItem(platform).pinsDir; !folders[dir] {
			t.Errorf("pins/libraries.txt has nothing for %s", dir)
		}
	}
	if it, err := find("cuda"); err == nil && !folders[it.pinsDir] {
		t.Errorf("pins/libraries.txt has nothing for %s", it.pinsDir)
	}
	if path, _, err := Installed("runtime"); err == nil {
		if trust, err := CheckLibrary(path); err != nil || trust == Unchecked {
			t.Errorf("%s: %s, %v", path, trust, err)
		}
	}
}

func TestLibrariesAreCompared(t *testing.T) {
	withItems(t, Item{Name: "runtime", pinsDir: "onnxruntime-9-x"})
	dir := home.Path("runtime", "onnxruntime-9-x")
	lib := put(t, filepath.Join(dir, "libonnxruntime.so.9"), []byte("code"))
	provider := put(t, filepath.Join(dir, "libprovider.so"), []byte("more"))
	record := put(t, filepath.Join(dir, sums),
		[]byte(digestOf([]byte("code"))+"  libonnxruntime.so.9\n"+digestOf([]byte("more"))+"  libprovider.so\n"))
	if trust, err := CheckLibrary(lib); trust != Recorded || err != nil {
		t.Fatalf("as fetched: %s, %v", trust, err)
	}
	if err := CheckBeside(lib); err != nil {
		t.Fatalf("as fetched: %v", err)
	}
	link := filepath.Join(dir, "libonnxruntime.so")
	if err := os.Symlink("libonnxruntime.so.9", link); err == nil {
		if trust, err := CheckLibrary(link); trust != Recorded || err != nil {
			t.Errorf("by a link: %s, %v", trust, err)
		}
		os.Remove(link)
	}
	refused := func(what, file string, err error) {
		t.Helper()
		if failure.KindOf(err) != failure.DataKind || err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want bad data that names %s", what, err, file)
		}
	}
	put(t, lib, []byte("c0de"))
	_, err := CheckLibrary(lib)
	refused("a changed library", lib, err)
	put(t, lib, []byte("code"))
	put(t, provider, []byte("m0re"))
	refused("a changed library beside it, checked before", provider, CheckBeside(lib))
	put(t, provider, []byte("more"))
	planted := put(t, filepath.Join(dir, "libonnxruntime.so.99"), []byte("other"))
	_, err = CheckLibrary(planted)
	refused("a library that was put there", planted, err)
	refused("a library that was put there, beside", planted, CheckBeside(lib))
	os.Remove(planted)
	put(t, record, []byte("nonsense\n"))
	_, err = CheckLibrary(lib)
	refused("a damaged record", record, err)
}

// A damaged build that came from a package is mended from it, without a network,
// and one that is replaced by another build does not stay in its way.
func TestDamagedRuntimeIsMended(t *testing.T) {
	archive := zipped(t, "r-9/lib/libonnxruntime.so.8", "older code")
	it := Item{Name: "runtime", pinsDir: "onnxruntime-9-x", urlDir: "onnxruntime-8-x", url: "http://127.0.0.1:1/r.tgz",
		urlDigest: digestOf(archive), keep: runtimeLibrary, main: "libonnxruntime."}
	withItems(t, it)
	lib := put(t, home.Path("runtime", "onnxruntime-9-x", "libonnxruntime.so.9"), []byte("c0de"))
	put(t, filepath.Join(filepath.Dir(lib), sums), []byte(digestOf([]byte("code"))+"  libonnxruntime.so.9\n"))
	got := get(t, "runtime", Options{From: put(t, filepath.Join(t.TempDir(), "r.zip"), archive)})
	if !got.Fetched || filepath.Base(got.Path) != "libonnxruntime.so.8" {
		t.Errorf("%+v, want the older build", got)
	}
	if _, err := os.Stat(lib); err == nil {
		t.Errorf("%s: the damaged one is still there, and newer", lib)
	}
}

func TestLibraryInAFolderOfEverybody(t *testing.T) {
	withItems(t)
	lib := put(t, home.Path("runtime", "mine", "libonnxruntime.so.9"), []byte("code"))
	if trust, err := CheckLibrary(lib); trust != Unchecked || err != nil {
		t.Errorf("one's own: %s, %v", trust, err)
	}
	if err := os.Chmod(home.Dir(), 0o777); err != nil {
		t.Fatal(err)
	}
	if home.Open(lib) == nil {
		t.Skip("no modes here")
	}
	if _, err := CheckLibrary(lib); err == nil || !strings.Contains(err.Error(), "ONNXRUNTIME_LIB") {
		t.Errorf("in a folder that anybody may write to: %v", err)
	}
	if trust, err := CheckLibrary("/usr/lib/libonnxruntime.so.1"); trust != Unchecked || err != nil {
		t.Errorf("the system's: %s, %v", trust, err)
	}
}
