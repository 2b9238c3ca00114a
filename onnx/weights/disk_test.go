package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/faults"
)

// failingAt is a disk that cannot read one of its bytes.
type failingAt struct {
	*bytes.Reader
	bad  int64
	most int // longer reads succeed, as from a disk whose error passes
}

var errDisk = errors.New("input/output error")

func (f failingAt) ReadAt(p []byte, at int64) (int, error) {
	if at <= f.bad && f.bad < at+int64(len(p)) && len(p) <= f.most {
		return 0, errDisk
	}
	return f.Reader.ReadAt(p, at)
}

// A disk that fails is named, never read as zeros. (A .pth in zip form has a checksum besides.)
func TestDiskErrorsAreReported(t *testing.T) {
	for _, file := range []string{"weights_legacy.pth", "weights_files.safetensors", "weights_zip.pth"} {
		whole, err := os.ReadFile(reference + file)
		if err != nil {
			t.Fatal(err)
		}
		for bad := 0; bad < len(whole); bad += 5 {
			got, err := parse(failingAt{bytes.NewReader(whole), int64(bad), len(whole)}, int64(len(whole)))
			if !errors.Is(err, errDisk) && file != "weights_zip.pth" { // package zip gives an error of its own
				t.Errorf("%s: byte %d cannot be read: %d tensors, error %v", file, bad, len(got), err)
			}
		}
	}
	small := legacy("", "")
	for bad := len(small) - 16; bad < len(small); bad++ { // the number of elements and the elements
		disk := failingAt{bytes.NewReader(small), int64(bad), len(small) - 1}
		if got, err := parse(disk, int64(len(small))); !errors.Is(err, errDisk) {
			t.Errorf("byte %d of the storage cannot be read: %v, error %v", bad, got, err)
		}
	}
}

// What the system cannot read is no fault of the file: its own memory's first page is a file that fails so.
func TestErrorsOfTheSystemAreNotOfTheFile(t *testing.T) {
	const memory = "/proc/self/mem"
	if _, err := os.Stat(memory); err != nil {
		t.Skip("no such file here:", err)
	}
	_, err := Read(memory)
	if failure.KindOf(err) != failure.Other || !strings.Contains(err.Error(), "weights: "+memory) {
		t.Errorf("%v, kind %v", err, failure.KindOf(err))
	}
}

// Files are closed, also those that are refused.
func TestFilesAreClosed(t *testing.T) {
	open := func() int { return faults.OpenFiles(t) }
	before := open()
	for range 20 {
		Read(t.TempDir())
		Read(reference + "weights_zip.pth")
		Read("weights.go")
		ReadSafetensors(t.TempDir())
		ReadSafetensors(reference + "weights_files.safetensors")
		ReadSafetensors("weights.go")
	}
	if after := open(); after > before+5 {
		t.Errorf("%d files are open, %d were", after, before)
	}
}

// What cannot be read is an error of ReadSafetensors too, and a zip archive of something else one of Read.
func TestReadersReturnTheirErrors(t *testing.T) {
	if _, err := Read("no/such.pth"); !errors.Is(err, fs.ErrNotExist) || failure.KindOf(err) == failure.DataKind {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, _, err := ReadSafetensors("no/such.safetensors"); !errors.Is(err, fs.ErrNotExist) ||
		failure.KindOf(err) == failure.DataKind {
		t.Errorf("a file of safetensors that is not there: %v", err)
	}
	if _, err := Read(t.TempDir()); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
	if _, _, err := ReadSafetensors("weights.go"); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), "weights.go") {
		t.Errorf("a Go file as safetensors: %v", err)
	}
	damaged := zipped(t, "little")
	damaged[bytes.Index(damaged, []byte("FloatStorage"))] ^= 1
	for want, file := range map[string][]byte{"not a state dict": zippedState(t, "little", "\x80\x02K\x01."),
		"checksum": damaged} {
		if got, err := parse(bytes.NewReader(file), int64(len(file))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an archive gives %v, error %v; want one with %q", got, err, want)
		}
	}
}

// A module without a name is no name.
func TestEmptyLine(t *testing.T) {
	m := &machine{data: []byte("c\n\n."), knows: func(g global) bool { return g != "." }}
	if v, err := m.load(); err == nil || strings.Contains(err.Error(), "early") {
		t.Errorf("a global without letters gives %v, %v", v, err)
	}
}

// A file whose header is the largest that is read, and one byte more.
func TestHeadersOfTheLargestSize(t *testing.T) {
	for _, more := range []int{0, 1} {
		header := "{}" + strings.Repeat(" ", maxHeader-2+more)
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		if _, _, err := parseSafetensors(bytes.NewReader(file), int64(len(file))); (err == nil) != (more == 0) {
			t.Errorf("a header of %d bytes: %v", len(header), err)
		}
	}
	for _, header := range []string{"[]", "1", "", "{", "nul", "{}x"} {
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		if _, _, err := parseSafetensors(bytes.NewReader(file), int64(len(file))); err == nil {
			t.Errorf("the header %q is read", header)
		}
	}
}
