package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"finetune/internal/failure"
)

// tree writes files, name -> content, below a new folder.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// flat makes a tree whose files hold their own names.
func flat(t testing.TB, names ...string) string {
	t.Helper()
	files := map[string]string{}
	for _, n := range names {
		files[n] = n
	}
	return tree(t, files)
}

func paths(items []Item) string {
	var list []string
	for _, it := range items {
		list = append(list, fmt.Sprintf("%s=%d", it.Path, it.Label))
	}
	return strings.Join(list, " ")
}

func mustOpen(t *testing.T, root string, o Options) *Set {
	t.Helper()
	set, err := Open(root, o)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func TestTrainAndValid(t *testing.T) {
	const png = "\x89PNG\r\n\x1a\n rest"
	root := tree(t, map[string]string{
		"train/b/2.jpg": "x", "train/b/10.JPG": "y", "train/a/deep/er/1.png": "z", "train/a/1.gif": "w",
		"train/b/noext": png, "train/b/other": "plain text", "train/b/notes.txt": "", "train/b/.DS_Store": "",
		"train/a/Thumbs.db": "",
		"train/readme":      "stray", "train/.ipynb_checkpoints/x.jpg": "", "train/é/1.jpg": "e",
		"val/b/9.jpg": "v", "val/a/8.jpg": "v2",
		"test1/t2.jpg": "", "test1/sub/t1.jpg": "", "models/x.jpg": "", "tmp/y.jpg": "",
	})
	set := mustOpen(t, root, Options{})
	equal(t, "classes", set.Classes, "[a b é]")
	equal(t, "train", paths(set.Train), "train/a/1.gif=0 train/a/deep/er/1.png=0 train/b/10.JPG=1 train/b/2.jpg=1 "+
		"train/b/noext=1 train/é/1.jpg=2")
	equal(t, "valid", paths(set.Valid), "val/a/8.jpg=0 val/b/9.jpg=1")
	equal(t, "test", paths(set.Test), "test1/sub/t1.jpg=-1 test1/t2.jpg=-1")
	equal(t, "ignored", set.Ignored, 4)
	warnings := strings.Join(set.Warnings, "\n")
	for _, want := range []string{`1 class has no validation photographs`, "4 files are not photographs and were left out " +
		"(.DS_Store 1, .txt 1, Thumbs.db 1, no extension 1)", "file beside the class folders, ignored: train/readme"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no warning %q in:\n%s", want, warnings)
		}
	}
}

// noSuchFile is what the system says, where it says one thing.
var noSuchFile = map[bool]string{true: "no such file or directory"}[runtime.GOOS != "windows"]

func TestErrorsSayWhatToDo(t *testing.T) {
	file := filepath.Join(flat(t, "x"), "x")
	for _, tt := range []struct {
		name, root string
		o          Options
		kind       failure.Kind
		want       string
	}{
		{"no name", "", Options{}, failure.DataKind, "no DATA given"},
		{"missing", "/no/such/folder", Options{}, failure.DataKind, noSuchFile + "; expected train/CLASS/*"},
		{"a file", file, Options{}, failure.DataKind, "a file, not a folder"},
		{"empty", t.TempDir(), Options{}, failure.DataKind, "empty; expected"},
		{"flat", flat(t, "1.jpg", "2.jpg"), Options{}, failure.DataKind, "2 photographs but no class folders"},
		{"no valid", flat(t, "train/a/1.jpg", "train/b/1.jpg"), Options{}, failure.DataKind, "neither valid/ nor val/"},
		{"no train", flat(t, "valid/a/1.jpg"), Options{}, failure.DataKind, "there is valid/ but no train/"},
		{"both", flat(t, "train/a/1.jpg", "valid/a/1.jpg", "val/a/1.jpg"), Options{}, failure.DataKind,
			"both valid/ and val/"},
		{"one class", flat(t, "train/a/1.jpg", "valid/a/1.jpg"), Options{}, failure.DataKind, `only one class, "a"`},
		{"class only in valid", flat(t, "train/a/1.jpg", "train/b/1.jpg", "valid/c/1.jpg"), Options{}, failure.DataKind,
			`class "c" is in valid/`},
		{"no photographs", flat(t, "train/a/1.txt", "valid/a/1.jpg"), Options{}, failure.DataKind,
			"no class folders with photographs"},
		{"classes without share", flat(t, "a/1.jpg", "b/1.jpg"), Options{}, failure.DataKind, "add --valid-pct 0.2"},
		{"share of 1", flat(t, "a/1.jpg"), Options{ValidPct: 1}, failure.UsageKind, "between 0 and 1"},
		{"separator alone", flat(t, "a/1.jpg"), Options{LabelSep: " "}, failure.UsageKind, "add --labels"},
		{"no csv", flat(t, "a/1.jpg"), Options{Labels: "/no/such.csv"}, failure.DataKind, "header path,label"},
	} {
		_, err := Open(tt.root, tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "dataset: ") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		} else if k := failure.KindOf(err); k != tt.kind {
			t.Errorf("%s: kind %v, want %v", tt.name, k, tt.kind)
		}
	}
}

func TestSplitIsStratifiedAndKeepsEqualFilesTogether(t *testing.T) {
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("cat/%03d.jpg", i)] = fmt.Sprint("cat", i/2) // each file twice
	}
	for i := range 20 {
		files[fmt.Sprintf("dog/%03d.jpg", i)] = fmt.Sprint("dog", i)
	}
	files["newt/1.jpg"], files["newt/2.jpg"], files["test/9.jpg"], files["testudo/1.jpg"], files["testudo/2.jpg"] = "n1",
		"n2", "t", "u1", "u2"
	root := tree(t, files)
	o := Options{ValidPct: 0.2, Seed: 7}
	set := mustOpen(t, root, o)
	equal(t, "classes", set.Classes, "[cat dog newt testudo]")
	perClass := map[string]int{}
	side := map[string]string{}
	for name, items := range map[string][]Item{"train": set.Train, "valid": set.Valid} {
		for _, it := range items {
			perClass[name+" "+it.Class]++
			if other, ok := side[it.Digest]; ok && other != name {
				t.Errorf("%s: its twin is in %s", it.Path, other)
			}
			side[it.Digest] = name
		}
	}
	equal(t, "counts", perClass,
		map[string]int{"train cat": 80, "valid cat": 20, "train dog": 16, "valid dog": 4, "train newt": 1, "valid newt": 1,
			"train testudo": 1, "valid testudo": 1})
	equal(t, "test", paths(set.Test), "test/9.jpg=-1")
	equal(t, "again", mustOpen(t, root, o), set)
	if o.Seed = 8; paths(mustOpen(t, root, o).Valid) == paths(set.Valid) {
		t.Error("another seed draws the same photographs")
	}
}

func TestOnePhotographWithTwoLabels(t *testing.T) {
	root := tree(t, map[string]string{"a/1.jpg": "same", "b/1.jpg": "same", "a/2.jpg": "2", "a/3.jpg": "3", "b/2.jpg": "4",
		"b/3.jpg": "5"})
	for seed := range uint64(20) {
		set := mustOpen(t, root, Options{ValidPct: 0.34, Seed: seed})
		count := 0
		for _, it := range set.Valid {
			if strings.HasSuffix(it.Path, "/1.jpg") {
				count++
			}
		}
		if count == 1 {
			t.Errorf("seed %d: equal files on both sides: %s", seed, paths(set.Valid))
		}
		if !strings.Contains(strings.Join(set.Warnings, "\n"), "1 photograph has two labels: a/1.jpg, b/1.jpg") {
			t.Errorf("no warning in %q", set.Warnings)
		}
	}
}

func TestLinks(t *testing.T) {
	root := flat(t, "real/1.jpg", "train/a/1.jpg", "train/b/1.jpg", "valid/a/1.jpg", "valid/b/1.jpg")
	for link, target := range map[string]string{
		"train/a/linked.jpg": "../../real/1.jpg", "train/a/loop": "..", "train/a/self": ".", "train/c": "../real",
		"train/b/broken.jpg": "nowhere", "train/b/folder": "../../real", "train/b/folder2": "../../real",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Skip(err)
		}
		if _, err := os.Lstat(filepath.Join(root, link)); err != nil { // wine says that it made one
			t.Skip(err)
		}
	}
	set := mustOpen(t, root, Options{})
	equal(t, "train", paths(set.Train), "train/a/1.jpg=0 train/a/linked.jpg=0 train/b/1.jpg=1 train/b/broken.jpg=1 "+
		"train/b/folder/1.jpg=1 train/c/1.jpg=2")
	if w := strings.Join(set.Warnings, "\n"); !strings.Contains(w, "not followed: train/a/loop, train/a/self, "+
		"train/b/folder2") {
		t.Errorf("warnings %s", w)
	}
}

func TestFiles(t *testing.T) {
	root := flat(t, "b.jpg", "a/x.png", "a.jpg", "a-1.jpg", "odd.bin", "noext", "list.txt", ".hidden.jpg")
	items, warnings, err := Files(root)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "files", paths(items), "a-1.jpg=-1 a.jpg=-1 a/x.png=-1 b.jpg=-1 noext=-1 odd.bin=-1")
	equal(t, "warnings", len(warnings), 1)
	one, _, err := Files(filepath.Join(root, "b.jpg"))
	equal(t, "one file", paths(one)+fmt.Sprint(err), "b.jpg=-1<nil>")
	for _, bad := range []string{filepath.Join(root, "none"), t.TempDir(), os.DevNull} {
		if _, _, err := Files(bad); failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s: %v, want a data error", bad, err)
		}
	}
}
