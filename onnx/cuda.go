package onnx

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// later are libraries that the CUDA provider loads when it is first used, so
// that its own file does not name them.
var later = []string{"libcudnn.so.9", "libcufft.so.12", "libnvrtc.so.13"}

// driverLibrary comes with NVIDIA's driver, all others with CUDA.
const driverLibrary = "libcuda.so.1"

// CUDA is what the CUDA provider of a library needs and what of it is there.
type CUDA struct {
	Provider string   // the provider's file, beside the library
	Missing  []string // libraries of CUDA and cuDNN that are found nowhere
	Needs    int      // the CUDA version it was built for: 13; 0 if its file does not say
	Driver   int      // the newest CUDA version that the driver can serve: 12040 is 12.4; 0 without a driver
}

// InspectCUDA looks at the CUDA provider of a library: at files alone, but for
// the driver's, which is asked for its version. Without a provider, or with one
// that is no shared library, it is an error.
func InspectCUDA(library string) (CUDA, error) {
	c := CUDA{Provider: filepath.Join(filepath.Dir(library), cudaProvider)}
	if _, err := os.Stat(c.Provider); err != nil {
		return c, fmt.Errorf("%s is a build for the CPU: %s is not beside it; "+
			"run `finetune fetch cuda`, and unset ONNXRUNTIME_LIB if it is set", library, cudaProvider)
	}
	missing, err := lacking(c.Provider, later, searchPath(filepath.Dir(library)))
	if err != nil {
		return c, err
	}
	c.Missing = slices.DeleteFunc(missing, func(name string) bool { return name == driverLibrary })
	needed, err := imports(c.Provider)
	for _, name := range needed {
		if v, ok := strings.CutPrefix(name, "libcudart.so."); ok {
			c.Needs, _ = strconv.Atoi(v)
		}
	}
	c.Driver = driverVersion()
	return c, err
}

// Problem says what keeps the provider from being used, nil if nothing is known.
func (c CUDA) Problem() error {
	var list []error
	if len(c.Missing) > 0 {
		list = append(list, fmt.Errorf("%s: not found: %s; run `finetune fetch cuda`", c.Provider,
			strings.Join(c.Missing, ", ")))
	}
	switch {
	case c.Driver == 0:
		list = append(list, fmt.Errorf("no NVIDIA driver (%s not found); install it", driverLibrary))
	case c.Driver < 1000*c.Needs:
		list = append(list, fmt.Errorf("the NVIDIA driver is too old: "+
			"it serves CUDA %d.%d, this build of ONNX Runtime needs %d; install a newer driver", c.Driver/1000,
			c.Driver%1000/10, c.Needs))
	}
	return errors.Join(list...)
}

// whyNot is the reason why the CUDA provider failed with err: what is known to
// be wrong with it, or else err's first line.
func whyNot(library string, err error) error {
	c, broken := InspectCUDA(library)
	if broken == nil {
		broken = c.Problem()
	}
	if broken == nil {
		return errors.New(firstLine(err))
	}
	return fmt.Errorf("%s (ONNX Runtime says: %s)", strings.ReplaceAll(broken.Error(), "\n", "; "), firstLine(err))
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
	return append(dirs, "/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/lib/x86_64-linux-gnu",
		"/usr/local/cuda/lib64")
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
		return nil, fmt.Errorf("onnx: %s: not a shared library: %w", file, err)
	}
	defer f.Close()
	names, err := f.ImportedLibraries()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("onnx: %s: %w", file, err)
	}
	return names, nil
}
