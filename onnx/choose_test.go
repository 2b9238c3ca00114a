package onnx

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestChoose: which of the installed libraries each device gets.
func TestChoose(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the names are Linux's")
	}
	root := t.TempDir()
	folder := func(name string, files ...string) string {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	cpu := folder("cpu", "libonnxruntime.so.1.32.0", "libonnxruntime_providers_shared.so")
	older := folder("older", "libonnxruntime.so.1.9.0")
	cuda := folder("cuda", "libonnxruntime.so.1.31.1", cudaProvider, "libcudart.so.13")
	newer := folder("newer", "libonnxruntime.so.1.33.0", cudaProvider)
	broken := folder("broken", cudaProvider)
	system := folder("system", "libonnxruntime.so", "libonnxruntime.so.1.25.1")
	empty := folder("empty")
	for _, c := range []struct {
		name                  string
		first, second         []string
		cpu, auto, gpu, asked string // the folder chosen for cpu, auto, auto with a driver, cuda; "" for none
	}{
		{"both builds", []string{cpu, cuda}, nil, cpu, cpu, cuda, cuda},
		{"both, the other order", []string{cuda, cpu}, nil, cpu, cpu, cuda, cuda},
		{"both, the CUDA build newer", []string{newer, cpu}, nil, cpu, cpu, newer, newer},
		{"the CPU build alone", []string{empty, cpu}, nil, cpu, cpu, cpu, ""},
		{"the CUDA build alone", []string{cuda}, nil, cuda, cuda, cuda, cuda},
		{"two of each", []string{older, cuda, newer, cpu}, nil, cpu, cpu, newer, newer},
		{"the CUDA build alone beside a system's", []string{cuda}, []string{system}, cuda, cuda, cuda, cuda},
		{"a system's", []string{empty}, []string{empty, system}, system, system, system, ""},
		{"a system's CUDA build", nil, []string{system, cuda}, system, system, cuda, cuda},
		{"a provider without its library", []string{broken, older}, nil, older, older, older, ""},
		{"nothing", []string{empty, filepath.Join(root, "absent")}, nil, "", "", "", ""},
	} {
		for _, d := range []struct {
			device string
			driver bool
			want   string
		}{{"cpu", false, c.cpu}, {"cpu", true, c.cpu}, {"", false, c.cpu}, {"auto", false, c.auto}, {"auto", true,
			c.gpu}, {"cuda", false, c.asked}, {"cuda", true, c.asked}} {
			got, _ := choose(builds(d.device, d.driver, false), c.first, c.second)
			if got == "" && d.want == "" {
				continue
			}
			if filepath.Dir(got) != d.want {
				t.Errorf("%s, device %q, driver %v: %q, want one in %q", c.name, d.device, d.driver, got, d.want)
			}
		}
	}
	got, _ := choose(builds("cpu", false, false), []string{system}, nil)
	if filepath.Base(got) != "libonnxruntime.so.1.25.1" {
		t.Errorf("%s, want the file with the version in its name", got)
	}
}

// TestBuildsOfDevices: a build with OpenVINO is taken where it is asked for, by itself
// where the processor multiplies matrices, and else where there is no other.
func TestBuildsOfDevices(t *testing.T) {
	cpu, intel, cuda := t.TempDir(), t.TempDir(), t.TempDir()
	for folder, files := range map[string][]string{
		cpu: {libraryName("1.32.0")}, intel: {libraryName("1.99.0"), openVINOProvider},
		cuda: {libraryName("1.31.1"), cudaProvider},
	} {
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(folder, f), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := []string{cpu, intel, cuda}
	for _, c := range []struct {
		device           string
		driver, matrices bool
		folders          []string
		want             string
	}{
		{"cpu", false, true, all, cpu}, {"", false, true, all, cpu}, {"openvino", false, false, all, intel},
		{"openvino:GPU", false, false, all, intel}, {"openvino", false, true, []string{cpu}, ""},
		{"auto", false, false, all, cpu}, {"auto", false, true, all, intel}, {"auto", true, true, all, cuda},
		{"auto", true, true, []string{cpu, intel}, cpu}, {"auto", false, false, []string{intel}, intel},
		{"cuda", true, true, []string{cpu, intel}, ""},
	} {
		got, err := choose(builds(c.device, c.driver, c.matrices), c.folders, nil)
		if err != nil || got != "" && filepath.Dir(got) != c.want || got == "" && c.want != "" {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

// TestVersionOfFolder: where the file's name has no version, the folder's counts.
func TestVersionOfFolder(t *testing.T) {
	a, b := version("/r/onnxruntime-1.9.0-windows-x64/onnxruntime.dll"),
		version("/r/onnxruntime-1.32.0-windows-x64/onnxruntime.dll")
	if len(a) < 3 || a[1] != 9 || b[1] != 32 {
		t.Errorf("%v and %v", a, b)
	}
	if v := version("/r/onnxruntime-1.9.0/libonnxruntime.so.1.24.1"); v[1] != 24 {
		t.Errorf("%v", v)
	}
}

func TestNoCUDABuildIsNamed(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	t.Setenv("ONNXRUNTIME_LIB", "")
	before := systemFolders
	systemFolders = nil
	defer func() { systemFolders = before }()
	if _, err := FindLibrary("cuda"); err == nil || !strings.Contains(err.Error(), "finetune fetch cuda") ||
		!strings.Contains(err.Error(), cudaProvider) {
		t.Errorf("cuda: %v", err)
	}
	if _, err := FindLibrary("cpu"); err == nil || !strings.Contains(err.Error(), "finetune fetch runtime") {
		t.Errorf("cpu: %v", err)
	}
}
