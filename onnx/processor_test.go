package onnx

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"finetune/internal/home"
)

// elfOf is the start of a Linux library for a processor.
func elfOf(machine uint16) []byte {
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	binary.LittleEndian.PutUint16(b[18:], machine)
	return b
}

func TestProcessor(t *testing.T) {
	dll := func(machine uint16) []byte {
		b := append([]byte("MZ"), make([]byte, 198)...)
		b[60] = 128
		copy(b[128:], "PE\x00\x00")
		binary.LittleEndian.PutUint16(b[132:], machine)
		return b
	}
	far := dll(0x8664)
	far[63] = 0xff // the PE header is said to be behind the file
	for _, c := range []struct {
		head []byte
		want string
	}{
		{elfOf(62), "amd64"}, {elfOf(183), "arm64"}, {elfOf(40), "arm"}, {elfOf(9999), ""}, {elfOf(62)[:19], ""},
		{elfOf(62)[:20], "amd64"}, {dll(0x8664), "amd64"}, {dll(0xaa64), "arm64"}, {dll(0x8664)[:133], ""}, {far, ""},
		{[]byte("\xcf\xfa\xed\xfe\x0c\x00\x00\x01"), "arm64"}, {[]byte("\xcf\xfa\xed\xfe\x07\x00\x00\x01"), "amd64"},
		{nil, ""}, {[]byte("MZ"), ""}, {[]byte("a text, and no library at all"), ""},
	} {
		if got := processor(c.head); got != c.want {
			t.Errorf("%.24q: %q, want %q", c.head, got, c.want)
		}
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	head, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if got := processor(head[:4096]); got != runtime.GOARCH {
		t.Errorf("this program is for %q, not %s", got, runtime.GOARCH)
	}
}

// A home that machines of several kinds share holds libraries for each: the newest
// for this processor is taken, and where there is none the others are named.
func TestLibrariesForOtherProcessors(t *testing.T) {
	ours, theirs := elfOf(62), elfOf(183)
	switch runtime.GOARCH {
	case "amd64":
	case "arm64":
		ours, theirs = theirs, ours
	default:
		t.Skip("skipped: neither amd64 nor arm64")
	}
	dir := t.TempDir()
	t.Setenv("FINETUNE_HOME", dir)
	t.Setenv("ONNXRUNTIME_LIB", "")
	system := systemFolders
	systemFolders = nil
	t.Cleanup(func() { systemFolders = system })
	write := func(folder, version string, data []byte) string {
		path := home.Path("runtime", folder, libraryName(version))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, data, 0o666)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := write("b", "1.33.0", theirs)
	_, err := FindLibrary("cpu")
	if !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), other+" is for ") ||
		!strings.Contains(err.Error(), "finetune fetch runtime") {
		t.Errorf("a library for another processor alone: %v", err)
	}
	own := write("a", "1.32.0", ours)
	if got, err := FindLibrary("cpu"); got != own || err != nil {
		t.Errorf("%s, %v; want %s", got, err, own)
	}
	t.Setenv("ONNXRUNTIME_LIB", other)
	if _, err := FindLibrary("cpu"); err == nil || !strings.Contains(err.Error(), "ONNXRUNTIME_LIB: "+other+" is for ") {
		t.Errorf("a library for another processor by name: %v", err)
	}
}
