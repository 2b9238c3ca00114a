package durable

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// failAt makes one step fail until the test ends, and returns the steps seen.
func failAt(t *testing.T, at Step, cause error) *[]Step {
	t.Helper()
	var seen []Step
	old := Before
	Before = func(s Step, path string) error {
		seen = append(seen, s)
		if s == at {
			return cause
		}
		return nil
	}
	t.Cleanup(func() { Before = old })
	return &seen
}

func TestWriteTakesItsStepsInOrder(t *testing.T) {
	seen := failAt(t, "", nil)
	path := filepath.Join(t.TempDir(), "new", "file")
	if err := WriteFile(path, bytes.Repeat([]byte("x"), 100_000)); err != nil {
		t.Fatal(err)
	}
	want := []Step{Create, Data, Sync, Rename, SyncFolder}
	if len(*seen) != len(want) {
		t.Fatalf("steps %v, want %v", *seen, want)
	}
	for i, s := range *seen {
		if s != want[i] {
			t.Errorf("step %d is %s, want %s", i, s, want[i])
		}
	}
}

func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	cause := errors.New("no space left on device")
	for _, at := range []Step{Create, Data, Sync, Rename, SyncFolder} {
		t.Run(string(at), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			if err := WriteFile(path, []byte("old")); err != nil {
				t.Fatal(err)
			}
			failAt(t, at, cause)
			err := WriteFile(path, []byte("new"))
			if !errors.Is(err, cause) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v does not name %s and its cause", err, path)
			}
			want := "old"
			if at == SyncFolder { // it has its name, which may not survive a loss of power
				want = "new"
			}
			if got, _ := os.ReadFile(path); string(got) != want {
				t.Errorf("the file holds %q, want %q", got, want)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("%d files are left, want 1", len(entries))
			}
		})
	}
}

func TestSweepRemovesOnlyTemporaryFiles(t *testing.T) {
	for _, tt := range []struct {
		name, ours, swept string
	}{
		{"two", "state.safetensors scores.csv", ".state.safetensors5577006791947779410 .scores.csv8674665223082153551"},
		{"one", "scores.csv", ".scores.csv8674665223082153551"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			all := ".lock state.safetensors .hidden 1234567890123 .keepme1234567890 .state.safetensors5577006791947779410 " +
				".scores.csv8674665223082153551"
			for _, n := range strings.Fields(all) {
				if err := os.WriteFile(filepath.Join(dir, n), nil, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			Sweep(dir, func(name string) bool { return slices.Contains(strings.Fields(tt.ours), name) })
			for _, n := range strings.Fields(all) {
				_, err := os.Stat(filepath.Join(dir, n))
				if gone := errors.Is(err, os.ErrNotExist); gone != strings.Contains(" "+tt.swept+" ", " "+n+" ") {
					t.Errorf("%s: gone is %v", n, gone)
				}
			}
		})
	}
}

// A folder that is a symbolic link belongs to somebody else.
func TestSweepDoesNotFollowALink(t *testing.T) {
	outside, link := t.TempDir(), filepath.Join(t.TempDir(), "report")
	file := filepath.Join(outside, ".index.html1234567890")
	if err := errors.Join(os.WriteFile(file, nil, 0o666), os.Symlink(outside, link)); err != nil {
		t.Fatal(err)
	}
	Sweep(link, func(string) bool { return true })
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestRoomNamesTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	if err := Room(dir, 1); err != nil {
		t.Error(err)
	}
	if err := Room(dir, 1<<62); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v does not name %s", err, dir)
	}
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 4096: "4.1 kB", 300_000: "300.0 kB",
		19 << 20: "19.9 MB", 5e12: "5000.0 GB"} {
		if got := size(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
}

// A name that ends in digits is told from the random ones behind it, however many they are.
func TestTemporaryOfANameWithDigits(t *testing.T) {
	ours := func(name string) bool { return name == "rows-000000002" || name == "key.json" || name == "k" }
	for name, want := range map[string]bool{
		".rows-0000000021234567890": true, ".rows-0000000021234567890123456789": true, ".key.json1234567890": true,
		".k1234567890":             true,
		".rows-000000002123456789": false, ".rows-0000000031234567890": false, "rows-0000000021234567890": false,
		"xkey.json1234567890": false,
		".key.json123456789":  false, ".other1234567890": false, "rows-000000002": false, "": false, ".": false,
		".1234567890": false,
	} {
		if got := Temporary(name, ours); got != want {
			t.Errorf("Temporary(%q) = %v", name, got)
		}
	}
}

func TestEntries(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if entries, err := Entries(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := Entries(file); err == nil || errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("a file: %v", err)
	}
	if _, err := Entries(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}
