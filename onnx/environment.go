package onnx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
		return Runtime{}, startError(path, err)
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
		return "libonnxruntime.*dylib"
	case "windows":
		return "onnxruntime.dll"
	}
	return "libonnxruntime.so*"
}

// FindLibrary looks in $ONNXRUNTIME_LIB, then in $FINETUNE_HOME/runtime and in
// lib beside the program, and then in the system's library folders, for the newest
// version of the build that the device wants: "cuda" and "openvino" the one with that
// provider beside it, "cpu" one without, or else one that has the CPU's provider too.
// "auto" is "cuda" where an NVIDIA driver and such a build are present, "openvino"
// where that build is and the processor multiplies matrices, else "cpu".
func FindLibrary(device string) (string, error) {
	if p := os.Getenv("ONNXRUNTIME_LIB"); p != "" {
		if _, err := os.Stat(p); err != nil {
			return "", fmt.Errorf("onnx: ONNXRUNTIME_LIB: %w: %w", ErrNoLibrary, err)
		}
		if other := foreign(p); other != "" {
			return "", fmt.Errorf("onnx: ONNXRUNTIME_LIB: %s; name one for %s", other, runtime.GOARCH)
		}
		// a bare name would be looked for elsewhere: Windows has an older library of the same name
		return filepath.Abs(p)
	}
	dir := home.Path("runtime")
	folders, err := subfolders(dir)
	if err != nil {
		return "", err
	}
	if own := home.Beside("lib"); own != "" {
		beside, err := subfolders(own)
		if err != nil {
			return "", err
		}
		folders = append(folders, beside...)
	}
	if p, err := choose(builds(device, NVIDIADriver(), HasMatrices()), folders, systemFolders); p != "" || err != nil {
		return p, err
	}
	switch base, _, _ := strings.Cut(device, ":"); base {
	case "cuda":
		return "", fmt.Errorf("onnx: %w with the CUDA provider (%s) in %s; "+
			"run `finetune fetch cuda`, or set ONNXRUNTIME_LIB", ErrNoLibrary, cudaProvider, dir)
	case openVINO:
		return "", fmt.Errorf("onnx: %w with the OpenVINO provider (%s) in %s; "+
			"run `finetune fetch openvino`, or set ONNXRUNTIME_LIB", ErrNoLibrary, openVINOProvider, dir)
	}
	return "", fmt.Errorf("onnx: %w in %s or the system's library folders%s; "+
		"run `finetune fetch runtime`, `make fetch`, or set ONNXRUNTIME_LIB", ErrNoLibrary, dir, passedOver(folders))
}

var systemFolders = map[bool][]string{
	true: {"/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
		"/opt/homebrew/lib"},
}[runtime.GOOS != "windows"] // where these would be folders of whichever drive is current

// choose returns the library of the first of the builds that is there among two
// lists of folders, of which the first list counts more, or "". A folder of the
// first that cannot be listed is an error: what lies in it is not known.
func choose(builds []string, first, second []string) (string, error) {
	for i, folders := range [][]string{first, second} {
		for _, build := range builds {
			p, err := newest(folders, build)
			if p != "" || err != nil && i == 0 {
				return p, err
			}
		}
	}
	return "", nil
}

// subfolders lists the folders in dir, none where it is absent.
func subfolders(dir string) (folders []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	for _, e := range entries {
		f := filepath.Join(dir, e.Name())
		if info, err := os.Stat(f); err == nil && info.IsDir() {
			folders = append(folders, f)
		}
	}
	return folders, nil
}

// NVIDIADriver reports whether an NVIDIA driver is loaded.
func NVIDIADriver() bool {
	for _, p := range []string{"/dev/nvidiactl", "/dev/dxg"} {
		if _, err := os.Stat(p); err == nil {
			return true
		}
	}
	return false
}

// newest returns the library with the highest version among the folders that hold
// such a build; "" if there is none, and an error if one of them could not be
// listed. Libraries for other processors, which a shared home may hold too, are
// passed over.
func newest(folders []string, build string) (best string, err error) {
	for _, f := range folders {
		if buildOf(f) != build {
			continue
		}
		list, listed := libraries(f)
		err = errors.Join(err, listed)
		for _, lib := range list {
			if (best == "" || slices.Compare(version(best), version(lib)) < 0) && foreign(lib) == "" {
				best = lib
			}
		}
	}
	return best, err
}

// libraries are the paths in a folder that are called as ONNX Runtime is.
func libraries(folder string) (list []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		err = fmt.Errorf("onnx: %w", err)
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(libraryPattern(), e.Name()); ok { // the pattern is sound
			list = append(list, filepath.Join(folder, e.Name()))
		}
	}
	return list, err
}

// version is the dotted numbers in a library's name, or in its folder's: Windows
// calls it onnxruntime.dll whichever it is.
func version(library string) []int {
	if v := numbers(filepath.Base(library)); len(v) > 0 {
		return v
	}
	return numbers(filepath.Base(filepath.Dir(library)))
}

func numbers(name string) []int {
	var out []int
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(part); err == nil {
			out = append(out, n)
		}
	}
	return out
}
