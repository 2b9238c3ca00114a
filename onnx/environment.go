package onnx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"finetune/internal/home"
)

// APIVersion is the version of ONNX Runtime's C interface that the wrapper asks for.
const APIVersion = 24

// ErrNoLibrary says that no ONNX Runtime library was found.
var ErrNoLibrary = errors.New("no ONNX Runtime library")

// Runtime describes the loaded library.
type Runtime struct {
	Path    string // the shared library
	Version string // as the library reports it, such as 1.32.0
	API     int    // C interface version in use
}

var environment struct {
	sync.Mutex
	started bool
	runtime Runtime
}

// Start loads ONNX Runtime, once a process; later calls return the first
// result. An empty path means FindLibrary("auto"). Telemetry is switched off.
// Errors: ErrNoLibrary where there is none; a library too old for APIVersion is named.
func Start(path string) (Runtime, error) {
	environment.Lock()
	defer environment.Unlock()
	if environment.started {
		return environment.runtime, nil
	}
	if path == "" {
		found, err := FindLibrary("auto")
		if err != nil {
			return Runtime{}, err
		}
		path = found
	}
	os.Setenv("ORT_DISABLE_TELEMETRY", "1")
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return Runtime{}, fmt.Errorf("onnx: %s: cannot be used (%w); ONNX Runtime 1.%d or newer is needed: run `finetune doctor`", path, err, APIVersion)
	}
	if err := ort.DisableTelemetry(); err != nil {
		return Runtime{}, fmt.Errorf("onnx: %s: telemetry cannot be switched off: %w", path, err)
	}
	environment.started = true
	environment.runtime = Runtime{Path: path, Version: ort.GetVersion(), API: APIVersion}
	return environment.runtime, nil
}

// libraryPattern matches the library's file names on this system.
func libraryPattern() string {
	switch runtime.GOOS {
	case "darwin":
		return "libonnxruntime*.dylib"
	case "windows":
		return "onnxruntime*.dll"
	}
	return "libonnxruntime.so*"
}

// FindLibrary looks in $ONNXRUNTIME_LIB, then in $FINETUNE_HOME/runtime for the
// newest version, then in the system's library folders. Device "cuda" wants a
// build with the CUDA provider beside it, "cpu" one without, "auto" the former
// where an NVIDIA driver is present.
func FindLibrary(device string) (string, error) {
	if p := os.Getenv("ONNXRUNTIME_LIB"); p != "" {
		if _, err := os.Stat(p); err != nil {
			return "", fmt.Errorf("onnx: ONNXRUNTIME_LIB: %w: %w", ErrNoLibrary, err)
		}
		return p, nil
	}
	dir := home.Path("runtime")
	if device == "cuda" || device == "auto" && nvidiaDriver() {
		if p := newest(dir, true); p != "" {
			return p, nil
		}
		if device == "cuda" {
			return "", fmt.Errorf("onnx: %w with the CUDA provider (libonnxruntime_providers_cuda.so) in %s; run `make cuda`, or set ONNXRUNTIME_LIB", ErrNoLibrary, dir)
		}
	}
	if p := newest(dir, false); p != "" {
		return p, nil
	}
	for _, system := range []string{"/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/opt/homebrew/lib"} {
		if found := match(system); len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("onnx: %w in %s or the system's library folders; run `finetune fetch runtime`, `make fetch`, or set ONNXRUNTIME_LIB", ErrNoLibrary, dir)
}

// nvidiaDriver reports whether an NVIDIA driver is loaded.
func nvidiaDriver() bool {
	for _, p := range []string{"/dev/nvidiactl", "/dev/dxg"} {
		if _, err := os.Stat(p); err == nil {
			return true
		}
	}
	return false
}

// newest returns the library with the highest version among dir/*/, with or
// without a CUDA provider beside it, or "".
func newest(dir string, cuda bool) string {
	var best string
	folders, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range folders {
		if hasCUDA(f) != cuda {
			continue
		}
		for _, lib := range match(f) {
			if best == "" || versionLess(filepath.Base(best), filepath.Base(lib)) {
				best = lib
			}
		}
	}
	return best
}

func hasCUDA(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "libonnxruntime_providers_cuda.so"))
	return err == nil
}

func match(dir string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, libraryPattern()))
	sort.Slice(found, func(i, j int) bool { return versionLess(found[i], found[j]) })
	return found
}

// versionLess compares the dotted numbers in two file names.
func versionLess(a, b string) bool {
	x, y := numbers(a), numbers(b)
	for i := 0; i < len(x) && i < len(y); i++ {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return len(x) < len(y)
}

func numbers(name string) []int {
	var out []int
	for _, part := range strings.FieldsFunc(filepath.Base(name), func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(part); err == nil {
			out = append(out, n)
		}
	}
	return out
}
