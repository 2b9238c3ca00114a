package fetch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/fetch"
	"finetune/internal/home"
	"finetune/onnx"
)

// TestRuntimesToTestWith: the versions that tests run with beside the default
// are the oldest with the C interface asked for and the CUDA build's own.
func TestRuntimesToTestWith(t *testing.T) {
	if fetch.Platform() != "linux-x64" {
		t.Skipf("skipped: none are pinned for %s", fetch.Platform())
	}
	versions := map[string]string{} // of ONNX Runtime, by item
	for _, it := range fetch.Items() {
		for _, p := range it.Pins() {
			if strings.HasPrefix(p.Name, "onnxruntime") {
				versions[it.Name] = p.Version
			}
		}
	}
	oldest, cuda := versions[fetch.Runtimes()[0]], versions[fetch.Runtimes()[1]]
	if want := fmt.Sprintf("1.%d.", onnx.APIVersion); !strings.HasPrefix(oldest, want) {
		t.Errorf("the oldest tested is %q; C API %d began with %s", oldest, onnx.APIVersion, want)
	}
	if cuda != versions["cuda"] || cuda == "" {
		t.Errorf("%q is tested, the CUDA build is %q", cuda, versions["cuda"])
	}
	if slices.Contains(fetch.Runtimes(), "runtime-"+versions["runtime"]) {
		t.Errorf("the default, %s, is among the others", versions["runtime"])
	}
}

// TestOtherRuntimesAreNotPicked: what lies beside the default for tests is
// found by nobody who does not name it.
func TestOtherRuntimesAreNotPicked(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	t.Setenv("ONNXRUNTIME_LIB", "")
	before, _ := onnx.FindLibrary("cpu") // the system's, if it has one
	dir := home.Path("runtime", "others", "onnxruntime-1.24.1-linux-x64")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"libonnxruntime.so.1.24.1", "libonnxruntime.dylib", "onnxruntime.dll",
		"libonnxruntime_providers_cuda.so"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, device := range []string{"cpu", "auto", "cuda"} {
		if got, err := onnx.FindLibrary(device); got != "" && got != before {
			t.Errorf("%s: %s, %v", device, got, err)
		}
	}
}
