package doctor

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"finetune/onnx"
)

// provider is the file that makes a build of ONNX Runtime one for NVIDIA GPUs.
const provider = "libonnxruntime_providers_cuda.so"

// later are libraries that the provider loads when it is first used, so that
// its own file does not name them.
var later = []string{"libcudnn.so.9", "libcufft.so.12", "libnvrtc.so.13"}

// cuda says whether an NVIDIA GPU can be used and which libraries are missing
// by name. Without a driver there is nothing to mend: the CPU is used.
func cuda() []Finding {
	if runtime.GOOS != "linux" {
		return []Finding{{Name: "NVIDIA GPU", Status: Absent, Detail: "not supported on " + runtime.GOOS + ": the CPU is used"}}
	}
	driver := driverPresent()
	path, err := onnx.FindLibrary("cuda")
	if err == nil {
		path = filepath.Join(filepath.Dir(path), provider)
		_, err = os.Stat(path)
	}
	switch {
	case err != nil && !driver:
		return []Finding{{Name: "NVIDIA GPU", Status: Absent, Detail: "no driver (/dev/nvidiactl): the CPU is used"}}
	case err != nil:
		return []Finding{{"NVIDIA GPU", Absent, "a driver is loaded, but ONNX Runtime for NVIDIA GPUs is not here: the CPU is used", "`make cuda`, or `finetune fetch cuda` (about 2 GB)"}}
	}
	missing, err := lacking(path, later, searchPath(filepath.Dir(path)))
	f := Finding{Name: "NVIDIA GPU", Detail: path}
	switch {
	case err != nil:
		f.Status, f.Detail, f.Fix = Broken, err.Error(), "`finetune fetch cuda`"
	case slices.Contains(missing, "libcuda.so.1") && !driver:
		f.Status, f.Detail = Absent, path+"\nno driver ("+strings.Join(missing, ", ")+" not found): the CPU is used"
	case len(missing) > 0:
		f.Status, f.Detail, f.Fix = Broken, path+"\nnot found: "+strings.Join(missing, ", "), "`finetune fetch cuda`; libcuda.so.1 comes with NVIDIA's driver"
	default:
		if err := runs("cuda"); err != nil {
			f.Status, f.Detail, f.Fix = Broken, path+"\n"+err.Error(), "see the reason; `--device cpu` works meanwhile"
		} else {
			f.Detail += ", provider CUDA"
		}
	}
	return []Finding{f}
}

func driverPresent() bool {
	_, err := os.Stat("/dev/nvidiactl")
	return err == nil
}

// searchPath lists the folders in which the dynamic linker would look, dir first.
func searchPath(dir string) []string {
	dirs := append([]string{dir}, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)
	if out, err := exec.Command("ldconfig", "-p").Output(); err == nil {
		for _, line := range strings.Split(string(out), "\n") {
			if _, path, ok := strings.Cut(line, " => "); ok && !slices.Contains(dirs, filepath.Dir(path)) {
				dirs = append(dirs, filepath.Dir(path))
			}
		}
	}
	return append(dirs, "/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/local/cuda/lib64")
}

// lacking names the shared libraries that file and the libraries it needs ask
// for, and those in more, that none of dirs has. Nothing is loaded: a library
// that is there but cannot work is found by running it.
func lacking(file string, more, dirs []string) ([]string, error) {
	needed, err := imports(file)
	if err != nil {
		return nil, err
	}
	needed = append(needed, more...)
	var missing []string
	seen := map[string]bool{}
	for len(needed) > 0 {
		name := needed[0]
		needed = needed[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		path := locate(name, dirs)
		if path == "" {
			missing = append(missing, name)
			continue
		}
		if filepath.Dir(path) == dirs[0] { // the system's own libraries are the system's concern
			further, err := imports(path)
			if err != nil {
				return nil, err
			}
			needed = append(needed, further...)
		}
	}
	slices.Sort(missing)
	return missing, nil
}

func locate(name string, dirs []string) string {
	for _, d := range dirs {
		if path := filepath.Join(d, name); d != "" {
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	return ""
}

func imports(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("doctor: %s: not a shared library: %w", file, err)
	}
	defer f.Close()
	names, err := f.ImportedLibraries()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("doctor: %s: %w", file, err)
	}
	return names, nil
}
