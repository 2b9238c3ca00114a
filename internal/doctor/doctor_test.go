package doctor

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
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
	for name, fix := range map[string]string{"runtime": "finetune fetch runtime", "bodies": "finetune fetch efficientnet-lite0"} {
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
	if f := named(found, "body efficientnet-lite0"); f.Status != Broken || !strings.Contains(f.Detail, weights) || !strings.Contains(f.Fix, "finetune fetch efficientnet-lite0") {
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
                     mend: ` + "`finetune fetch x`" + `
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

// A library with a dependency of its own, built here: present in the folder,
// then taken away.
func TestLackingNamesWhatIsMissing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("ELF libraries are built on Linux only")
	}
	dir := t.TempDir()
	build := func(name string, args ...string) {
		args = append([]string{"-shared", "-fPIC", "-x", "c", "/dev/null", "-o", filepath.Join(dir, name), "-Wl,-soname," + name}, args...)
		if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
			t.Skipf("no C compiler to build a library with: %v %s", err, out)
		}
	}
	build("libinner.so.3")
	build("libouter.so.2", "-Wl,--no-as-needed", "-L"+dir, "-l:libinner.so.3")
	build(provider, "-Wl,--no-as-needed", "-L"+dir, "-l:libouter.so.2")
	check := func(want ...string) {
		t.Helper()
		missing, err := lacking(filepath.Join(dir, provider), []string{"liblater.so.9"}, searchPath(dir))
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

func TestCheckFindsTheLibrary(t *testing.T) {
	found := Check()
	if f := named(found, "runtime"); f.Status == Missing {
		t.Skipf("skipped: %s", f.Detail)
	}
	if f := named(found, "runtime loads"); f.Status != OK || !strings.Contains(f.Detail, "ONNX Runtime 1.") {
		t.Errorf("%+v", f)
	}
}
