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
// A library under $FINETUNE_HOME is compared with its digest before any of its
// code runs (fetch.CheckLibrary).
// Errors: ErrNoLibrary where there is none; a library too old for APIVersion, and
// one that was changed, is named.
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
	if err := errors.Join(trusted(path)(), listsProcessors(processorList)); err != nil {
		return Runtime{}, err
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

// processorList is read by ONNX Runtime as it starts.
const processorList = "/sys/devices/system/cpu/possible"

// listsProcessors is an error where the list cannot be read for another cause
// than that there is none: ONNX Runtime would crash.
func listsProcessors(path string) error {
	_, err := os.ReadFile(path)
	if err == nil || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return nil
	}
	return fmt.Errorf("onnx: %w; ONNX Runtime cannot start without this list of the processors", err)
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
		if p, err := newest(dir, true); p != "" || err != nil {
			return p, err
		}
		if device == "cuda" {
			return "", fmt.Errorf("onnx: %w with the CUDA provider (libonnxruntime_providers_cuda.so) in %s; run `make cuda`, or set ONNXRUNTIME_LIB", ErrNoLibrary, dir)
		}
	}
	if p, err := newest(dir, false); p != "" || err != nil {
		return p, err
	}
	for _, system := range []string{"/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/opt/homebrew/lib"} {
		if found, err := match(system); err == nil && len(found) > 0 {
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
// without a CUDA provider beside it, or "". A folder that cannot be listed is an
// error: what lies in it is not known.
func newest(dir string, cuda bool) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("onnx: %w", err)
	}
	var best string
	for _, e := range entries {
		f := filepath.Join(dir, e.Name())
		if info, err := os.Stat(f); err != nil || !info.IsDir() || hasCUDA(f) != cuda {
			continue
		}
		found, err := match(f)
		if err != nil {
			return "", fmt.Errorf("onnx: %w", err)
		}
		for _, lib := range found {
			if best == "" || versionLess(filepath.Base(best), filepath.Base(lib)) {
				best = lib
			}
		}
	}
	return best, nil
}

func hasCUDA(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "libonnxruntime_providers_cuda.so"))
	return err == nil
}

// match lists the libraries in dir, the oldest first.
func match(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if ok, _ := filepath.Match(libraryPattern(), e.Name()); ok { // the pattern is sound
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	sort.Slice(found, func(i, j int) bool { return versionLess(found[i], found[j]) })
	return found, nil
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
