package runs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/durable"
	"finetune/internal/failure"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := durable.WriteFile(path, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func reads(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
	}
}

// aRunIn makes a folder look like a run with a file of the user's in it.
func aRunIn(t *testing.T, dir, head string) {
	t.Helper()
	r := &Run{Dir: dir, Name: dir}
	if err := r.SetConfig(Config{}); err != nil {
		t.Fatal(err)
	}
	write(t, r.Path(HeadFile), head)
}

// Each state that a kill can leave while two runs change places, on systems
// that exchange names and on those that do not, ends with the new run at its
// place and the user's file in it.
func TestSettleEndsWhatAKillCutShort(t *testing.T) {
	for _, tt := range []struct{ name, old, fresh string }{
		{"names exchanged, nothing more", "run.new", "run"},
		{"the old one set aside", "run.replaced", "run"},
		{"between two renames", "run.replaced", "run.new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			in := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
			aRunIn(t, in(tt.old), "old")
			write(t, in(tt.old, "notes.txt"), "of mine")
			write(t, in(tt.old, ReportDir, "index.html"), "old")
			aRunIn(t, in(tt.fresh), "new")
			write(t, in(tt.fresh, newFile), "")
			r, _, _, err := Open(in("run"), Options{Resume: true})
			if err != nil || r == nil {
				t.Fatal(r, err)
			}
			defer r.Close()
			reads(t, in("run", HeadFile), "new")
			reads(t, in("run", "notes.txt"), "of mine")
			for _, left := range []string{in("run.new"), in("run.replaced"), in("run", newFile), in("run", ReportDir)} {
				if there(left) {
					t.Errorf("%s is left", left)
				}
			}
		})
	}
}

// A folder of the user's that happens to be called RUN.new or RUN.replaced is in
// the way, and stays.
func TestFoldersInTheWayStay(t *testing.T) {
	for _, name := range []string{"run.new", "run.replaced"} {
		for _, run := range []bool{true, false} {
			dir := t.TempDir()
			aRunIn(t, filepath.Join(dir, "run"), "old")
			mine := filepath.Join(dir, name)
			if run {
				aRunIn(t, mine, "a copy of mine")
			}
			write(t, filepath.Join(mine, HeadFile), "a copy of mine")
			_, err := Create(filepath.Join(dir, "run"), Options{Overwrite: true}, Config{})
			if failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
			reads(t, filepath.Join(mine, HeadFile), "a copy of mine")
			reads(t, filepath.Join(dir, "run", HeadFile), "old")
		}
	}
}

// What is there is looked at again once the lock is taken: a run that another
// process made in the meantime is not written over.
func TestARunMadeInTheMeantimeStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	before := durable.Before
	defer func() { durable.Before = before }()
	a, err := Create(dir, Options{}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir, Options{}, Config{}); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("a second process: %v", err)
	}
	r := &Run{Dir: dir, Name: dir} // as if it had looked before the first one began
	if r.place, err = placeOf(dir); err != nil {
		t.Fatal(err)
	}
	if err := r.makeFolder(Options{}); err == nil || !strings.Contains(err.Error(), "another process is using this run") {
		t.Errorf("while the first one holds it: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.makeFolder(Options{}); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.allowed(Options{}); err == nil || !strings.Contains(err.Error(), "this run exists") {
		t.Errorf("afterwards: %v", err)
	}
}

// A folder that a user made, and that is empty, stays when a flag is refused.
func TestDiscardLeavesAFolderItDidNotMake(t *testing.T) {
	for _, made := range []bool{true, false} {
		dir := filepath.Join(t.TempDir(), "run")
		if made {
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Create(dir, Options{}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		r.Discard()
		r.Close()
		if entries, err := os.ReadDir(dir); made && (err != nil || len(entries) > 0) ||
			!made && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("made before: %v; then %v, %v", made, entries, err)
		}
	}
}

func TestCompareNamesWhatChanged(t *testing.T) {
	was := []Listed{{"train", "a/1", "a", "d1"}, {"train", "a/2", "a", "d2"}, {"train", "b/3", "b", "d3"},
		{"valid", "a/4", "a", "d4"}}
	for _, tt := range []struct {
		name string
		now  []Listed
		want string
	}{
		{"nothing", was, ""},
		{"gone", was[1:], "1 gone (a/1)"},
		{"two gone", was[2:], "2 gone (a/1, …)"},
		{"new", append(was[:4:4], Listed{"train", "a/5", "a", "d5"}), "1 new (a/5)"},
		{"moved", append(was[1:4:4], Listed{"train", "b/1", "b", "d1"}), "1 moved or renamed (b/1)"},
		{"to the other split", append(was[1:4:4], Listed{"valid", "a/1", "a", "d1"}), "1 moved or renamed (a/1)"},
		{"labelled", append(was[1:4:4], Listed{"train", "a/1", "b", "d1"}), "1 labelled otherwise (a/1)"},
		{"changed", append(was[1:4:4], Listed{"train", "a/1", "a", "d9"}), "1 with another content (a/1)"},
	} {
		if got := compare(was, tt.now); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzPhotographs(f *testing.F) {
	f.Add([]byte("split,path,label,sha256\ntrain,a/1,a,00\n"))
	f.Add([]byte("split,path\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), PhotographsFile)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		rows, err := readPhotographs(path)
		if err != nil && (failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), path)) {
			t.Errorf("%v", err)
		}
		_ = compare(rows, nil)
	})
}
