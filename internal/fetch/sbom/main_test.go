package main

import (
	"debug/buildinfo"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// What is listed is what the archive's system fetches, not what the builder's does.
func TestDownloadsAreThoseOfTheBinarysSystem(t *testing.T) {
	for _, tt := range []struct{ os, arch, platform, wants string }{
		{"linux", "arm64", "linux-arm64", "onnxruntime-linux-aarch64-"},
		{"linux", "amd64", "linux-x64", "onnxruntime-linux-x64-"},
		{"darwin", "arm64", "macos-arm64", "onnxruntime-osx-arm64-"},
		{"windows", "amd64", "windows-x64", ""},
	} {
		settings := []debug.BuildSetting{{Key: "GOOS", Value: tt.os}, {Key: "GOARCH", Value: tt.arch}}
		info := &buildinfo.BuildInfo{Settings: settings}
		platform, err := platformOf(info)
		if err != nil || platform != tt.platform {
			t.Fatalf("%s/%s: platform %q, %v; want %s", tt.os, tt.arch, platform, err, tt.platform)
		}
		var archives, wheels []string
		for _, c := range downloads(platform) {
			if strings.Contains(c.Name, "/onnxruntime-") {
				archives = append(archives, c.Name)
			}
			if c.Name == "onnxruntime" {
				wheels = append(wheels, c.Hashes[0].Content)
			}
		}
		got := strings.Join(archives, " ")
		if !strings.Contains(got, tt.wants) || len(archives) > 1 || (tt.wants == "") != (got == "") {
			t.Errorf("%s: archives of ONNX Runtime %q, want one with %q", platform, got, tt.wants)
		}
		pin, err := os.ReadFile(filepath.Join("..", "pins", "runtime-"+platform+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if len(wheels) == 0 || !strings.Contains(string(pin), wheels[0]) {
			t.Errorf("%s: wheels of ONNX Runtime %v, want that of its pins first: %s", platform, wheels, pin)
		}
	}
	if _, err := platformOf(&buildinfo.BuildInfo{}); err == nil {
		t.Error("a binary that names no system is taken")
	}
}

func TestEnclosedFilesHaveDigests(t *testing.T) {
	dir := t.TempDir()
	library := filepath.Join(dir, "lib", "onnxruntime-1-linux-arm64", "libonnxruntime.so.1")
	if err := os.MkdirAll(filepath.Dir(library), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(library, []byte("abc"), 0o666); err != nil {
		t.Fatal(err)
	}
	list, err := enclosed(dir, []string{library})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	c := list[0]
	if c.Name != "lib/onnxruntime-1-linux-arm64/libonnxruntime.so.1" || c.Hashes[0].Content != abc ||
		c.Licenses[0].License.ID != "MIT" {
		t.Errorf("%+v", c)
	}
	if _, err := enclosed(dir, []string{filepath.Join(dir, "absent")}); err == nil {
		t.Error("a file that is absent is listed")
	}
}
