package onnx

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A library with a dependency of its own, built here: present in the folder,
// then taken away.
func TestLackingNamesWhatIsMissing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("ELF libraries are built on Linux only")
	}
	dir := t.TempDir()
	build := func(name string, args ...string) {
		args = append([]string{"-shared", "-fPIC", "-x", "c", "/dev/null", "-o", filepath.Join(dir, name),
			"-Wl,-soname," + name}, args...)
		if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
			t.Skipf("no C compiler to build a library with: %v %s", err, out)
		}
	}
	build("libinner.so.3")
	build("libouter.so.2", "-Wl,--no-as-needed", "-L"+dir, "-l:libinner.so.3")
	build(cudaProvider, "-Wl,--no-as-needed", "-L"+dir, "-l:libouter.so.2")
	check := func(want ...string) {
		t.Helper()
		missing, err := lacking(filepath.Join(dir, cudaProvider), []string{"liblater.so.9"}, searchPath(dir))
		if err != nil || !slices.Equal(missing, want) {
			t.Errorf("missing %q, %v; want %q", missing, err, want)
		}
	}
	check("liblater.so.9")
	os.Remove(filepath.Join(dir, "libinner.so.3"))
	check("libinner.so.3", "liblater.so.9")
	os.Remove(filepath.Join(dir, "libouter.so.2"))
	check("liblater.so.9", "libouter.so.2")

	if _, err := lacking(filepath.Join(dir, "absent.so"), nil, searchPath(dir)); err == nil {
		t.Error("no error for a file that is not there")
	}
}

// TestCUDAProblems: what is said of a CUDA provider with this or that missing.
// The driver is a library of our own that answers as NVIDIA's would; each case is
// a process, whose linker finds it.
func TestCUDAProblems(t *testing.T) {
	if dir := os.Getenv("FINETUNE_TEST_CUDA"); dir != "" {
		c, err := InspectCUDA(filepath.Join(dir, "libonnxruntime.so.1.31.1"))
		if err == nil {
			err = c.Problem()
		}
		fmt.Printf("<%v>", err)
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("skipped: Linux only")
	}
	build := func(dir, name, code string, needs ...string) {
		t.Helper()
		args := []string{"-shared", "-fPIC", "-x", "c", "-", "-o", filepath.Join(dir, name), "-Wl,-soname," + name,
			"-Wl,--no-as-needed", "-L" + dir}
		for _, n := range needs {
			args = append(args, "-l:"+n)
		}
		c := exec.Command("cc", args...)
		c.Stdin = strings.NewReader(code)
		if out, err := c.CombinedOutput(); err != nil {
			t.Skipf("skipped: no C compiler to build a library with: %v %s", err, out)
		}
	}
	driver := func(version string) func(dir string) {
		return func(dir string) {
			build(dir, driverLibrary, "int cuDriverGetVersion(int *v) { *v = "+version+"; return 0; }")
		}
	}
	remove := func(name string) func(dir string) {
		return func(dir string) { os.Remove(filepath.Join(dir, name)) }
	}
	for _, c := range []struct {
		name   string
		change func(dir string)
		want   string // "<nil>" for no problem
	}{
		{"all there", driver("13000"), "<<nil>>"},
		{"a newer driver", driver("14010"), "<<nil>>"},
		{"a driver too old", driver("12040"), "too old: it serves CUDA 12.4, this build of ONNX Runtime needs 13"},
		{"a driver that does not answer", func(dir string) { build(dir, driverLibrary, "") }, "no NVIDIA driver"},
		{"no driver", remove(driverLibrary), "no NVIDIA driver (libcuda.so.1 not found)"},
		{"no cuBLAS", func(dir string) { driver("13000")(dir); remove("libcublas.so.13")(dir) },
			"not found: libcublas.so.13; run `finetune fetch cuda`"},
		{"no cuDNN", func(dir string) { driver("13000")(dir); remove("libcudnn.so.9")(dir) },
			"not found: libcudnn.so.9; run"},
		{"neither cuBLAS nor a driver", func(dir string) { remove(driverLibrary)(dir); remove("libcublas.so.13")(dir) },
			"not found: libcublas.so.13;"},
		{"no provider", remove(cudaProvider), "is a build for the CPU: libonnxruntime_providers_cuda.so is not beside it; " +
			"run `finetune fetch cuda`"},
		{"a provider that is no library",
			func(dir string) { os.WriteFile(filepath.Join(dir, cudaProvider), []byte("text"), 0o666) }, "not a shared library"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range append(slices.Clone(later), "libcudart.so.13", "libcublas.so.13", driverLibrary) {
				build(dir, name, "")
			}
			build(dir, cudaProvider, "", "libcudart.so.13", "libcublas.so.13", driverLibrary)
			c.change(dir)
			p := exec.Command(os.Args[0], "-test.run=TestCUDAProblems$")
			p.Env = append(os.Environ(), "FINETUNE_TEST_CUDA="+dir, "LD_LIBRARY_PATH="+dir)
			out, err := p.CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v: %s, want %q", err, out, c.want)
			}
		})
	}
}
