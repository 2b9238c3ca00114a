package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/onnx"
)

func named(findings []Finding, name string) Finding {
	for _, f := range findings {
		if f.Name == name {
			return f
		}
	}
	return Finding{Name: "none called " + name, Status: -1}
}

// An empty home has neither weights nor, unless the system has one, a library:
// each is named with the command that brings it.
func TestCheckEmptyHome(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	t.Setenv("ONNXRUNTIME_LIB", filepath.Join(t.TempDir(), "absent.so"))
	found := Check()
	for name, fix := range map[string]string{"runtime": "finetune fetch runtime",
		"bodies": "finetune fetch efficientnet-lite0"} {
		if f := named(found, name); f.Status != Missing || !strings.Contains(f.Fix, fix) {
			t.Errorf("%s: %+v, want missing and mended by %q", name, f, fix)
		}
	}
	for _, name := range []string{"folder", "cache", "processor"} {
		if f := named(found, name); f.Status != OK || f.Detail == "" {
			t.Errorf("%s: %+v, want ok", name, f)
		}
	}
	if Worst(found) != Missing {
		t.Errorf("worst is %s, want missing", Worst(found))
	}
}

func TestCheckDamaged(t *testing.T) {
	home := t.TempDir()
	t.Setenv("FINETUNE_HOME", home)
	bad := filepath.Join(home, "libonnxruntime.so.1.99.0")
	weights := filepath.Join(home, "weights", "efficientnet-lite0.pth")
	os.MkdirAll(filepath.Dir(weights), 0o777)
	for _, file := range []string{bad, weights} {
		if err := os.WriteFile(file, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("ONNXRUNTIME_LIB", bad)
	found := Check()
	if f := named(found, "runtime loads"); f.Status != Broken || !strings.Contains(f.Fix, bad) {
		t.Errorf("a library that is none: %+v", f)
	}
	if f := named(found, "body efficientnet-lite0"); f.Status != Broken || !strings.Contains(f.Detail, weights) ||
		!strings.Contains(f.Fix, "finetune fetch efficientnet-lite0") {
		t.Errorf("damaged weights: %+v", f)
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FINETUNE_HOME", file)
	if f := folder(); f.Status != Broken || !strings.Contains(f.Fix, "FINETUNE_HOME") {
		t.Errorf("a home that is a file: %+v", f)
	}
}

func TestPrint(t *testing.T) {
	var b bytes.Buffer
	Print(&b, []Finding{
		{Name: "runtime", Detail: "/lib/x\nsha256 12"},
		{"bodies", Missing, "none", "`finetune fetch x`"},
		{"NVIDIA GPU", Absent, "no driver", "`make cuda`"},
	})
	want := `ok       runtime     /lib/x
                     sha256 12
missing  bodies      none
                     fix: ` + "`finetune fetch x`" + `
absent   NVIDIA GPU  no driver
                     get it: ` + "`make cuda`" + `
`
	if b.String() != want {
		t.Errorf("printed\n%swant\n%s", &b, want)
	}
	data, err := json.Marshal(Finding{"bodies", Missing, "none", ""})
	if want := `{"name":"bodies","status":"missing","detail":"none"}`; err != nil || string(data) != want {
		t.Errorf("JSON %s, %v; want %s", data, err, want)
	}
}

func TestCheckFindsTheLibrary(t *testing.T) {
	found := Check()
	if f := named(found, "runtime"); f.Status == Missing {
		t.Skipf("skipped: %s", f.Detail)
	}
	if f := named(found, "runtime loads"); f.Status != OK || !strings.Contains(f.Detail, "ONNX Runtime 1.") {
		t.Errorf("%+v", f)
	}
}

// TestGPU: what is said of an NVIDIA GPU.
func TestGPU(t *testing.T) {
	whole := onnx.CUDA{Provider: "/rt/libonnxruntime_providers_cuda.so", Needs: 13, Driver: 13000}
	with := func(change func(c *onnx.CUDA)) onnx.CUDA { c := whole; change(&c); return c }
	works, fails := func() error { return nil }, func() error { return errors.New("out of memory") }
	for _, c := range []struct {
		name           string
		cuda           onnx.CUDA
		err            error
		driver, pinned bool
		try            func() error
		status         Status
		says, fix      string
	}{
		{"all well", whole, nil, true, true, works, OK, "provider CUDA", ""},
		{"it fails", whole, nil, true, true, fails, Broken, "out of memory", "--device cpu"},
		{"nothing at all", onnx.CUDA{}, errors.New("none"), false, true, nil, Absent, "no driver", ""},
		{"a driver alone", onnx.CUDA{}, errors.New("none"), true, true, nil, Absent, "the CPU is used",
			"finetune fetch cuda"},
		{"a driver alone where nothing is pinned", onnx.CUDA{}, errors.New("none"), true, false, nil, Absent,
			"the CPU is used", "none is pinned"},
		{"all but a driver", with(func(c *onnx.CUDA) { c.Driver = 0 }), nil, false, true, nil, Absent,
			"complete but for the driver (libcuda.so.1)", ""},
		{"no driver and no cuBLAS", with(func(c *onnx.CUDA) { c.Driver, c.Missing = 0, []string{"libcublas.so.13"} }), nil,
			false, true, nil, Absent, "libcublas.so.13", "finetune fetch cuda"},
		{"no cuBLAS", with(func(c *onnx.CUDA) { c.Missing = []string{"libcublas.so.13"} }), nil, true, true, nil, Broken,
			"libcublas.so.13", "finetune fetch cuda"},
		{"a driver without its library", with(func(c *onnx.CUDA) { c.Driver = 0 }), nil, true, true, nil, Broken,
			"libcuda.so.1 not found", "driver"},
		{"a driver too old", with(func(c *onnx.CUDA) { c.Driver = 12020 }), nil, true, true, nil, Broken,
			"serves CUDA 12.2, this build of ONNX Runtime needs 13", "driver"},
	} {
		f := gpu(c.cuda, c.err, c.driver, c.pinned, c.try)
		if f.Status != c.status || !strings.Contains(f.Detail, c.says) || !strings.Contains(f.Fix, c.fix) ||
			(c.fix == "") != (f.Fix == "") {
			t.Errorf("%s: %+v, want %s, %q and %q", c.name, f, c.status, c.says, c.fix)
		}
	}
}
