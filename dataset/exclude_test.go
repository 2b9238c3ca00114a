package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/dataset/exclude"
)

func listOf(t *testing.T, root string, paths ...string) *exclude.List {
	t.Helper()
	name := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(name, []byte(strings.Join(paths, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := exclude.Read(name, root)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestExcludeInFolders(t *testing.T) {
	root := flat(t, "train/a/1.jpg", "train/a/2.jpg", "train/b/1.jpg", "train/b/2.jpg", "valid/a/3.jpg", "valid/b/3.jpg",
		"valid/b/4.jpg", "test/5.jpg", "test/6.jpg")
	some := listOf(t, root, "train/a/2.jpg", "valid/b/3.jpg", "test/6.jpg", "train/a/9.jpg")
	set := mustOpen(t, root, Options{Exclude: some})
	equal(t, "train", paths(set.Train), "train/a/1.jpg=0 train/b/1.jpg=1 train/b/2.jpg=1")
	equal(t, "valid", paths(set.Valid), "valid/a/3.jpg=0 valid/b/4.jpg=1")
	equal(t, "test", paths(set.Test), "test/5.jpg=-1")
	equal(t, "excluded", set.Excluded, 3)
	if !strings.Contains(strings.Join(set.Warnings, "\n"), "train/a/9.jpg (line 4)") {
		t.Errorf("no warning names what is unknown: %q", set.Warnings)
	}
	all := listOf(t, root, "train/a/1.jpg", "train/a/2.jpg", "train/b/1.jpg", "train/b/2.jpg")
	_, err := Open(root, Options{Exclude: all})
	if err == nil || !strings.Contains(err.Error(), "--exclude") {
		t.Errorf("nothing left to train on: %v", err)
	}
	if _, err = Open(root, Options{Exclude: listOf(t, root, "a/1.jpg")}); err == nil ||
		!strings.Contains(err.Error(), "none of its 1 path is") {
		t.Errorf("paths of another folder: %v", err)
	}
}

// What is excluded has no part in the draw.
func TestExcludeBeforeTheDraw(t *testing.T) {
	files := map[string]string{}
	for _, class := range []string{"a", "b"} {
		for _, n := range "0123456789" {
			files[class+"/"+string(n)+".jpg"] = class + string(n)
		}
	}
	whole := tree(t, files)
	some := listOf(t, whole, "a/1.jpg", "b/7.jpg", "b/8.jpg")
	left := mustOpen(t, whole, Options{ValidPct: .3, Exclude: some})
	for _, gone := range []string{"a/1.jpg", "b/7.jpg", "b/8.jpg"} {
		delete(files, gone)
	}
	want := mustOpen(t, tree(t, files), Options{ValidPct: .3})
	equal(t, "train", paths(left.Train), paths(want.Train))
	equal(t, "valid", paths(left.Valid), paths(want.Valid))
}

func TestExcludeInLabels(t *testing.T) {
	root := flat(t, "p/1.jpg", "p/2.jpg", "p/3.jpg", "p/4.jpg", "p/5.jpg")
	labels := filepath.Join(t.TempDir(), "labels.csv")
	text := "path,label,split,suggested\np/1.jpg,a,train,\np/2.jpg,b,train,a\np/3.jpg,a,valid,\np/4.jpg,b,valid,\n" +
		"p/5.jpg,c,train,\n"
	if err := os.WriteFile(labels, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	o := Options{Labels: labels, Exclude: listOf(t, root, "p/5.jpg", "p/4.jpg")}
	set := mustOpen(t, root, o)
	equal(t, "classes", set.Classes, "[a b]")
	equal(t, "train", paths(set.Train), "p/1.jpg=0 p/2.jpg=1")
	equal(t, "valid", paths(set.Valid), "p/3.jpg=0")
	for _, w := range set.Warnings {
		if strings.Contains(w, "suggested") {
			t.Error(w)
		}
	}
	o.Exclude = listOf(t, root, "p/4.jpg", "p/6.jpg")
	measured, err := Labelled(root, o)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "to measure on", paths(measured.Valid), "p/3.jpg=0")
	if !strings.Contains(strings.Join(measured.Warnings, "\n"), "p/6.jpg") {
		t.Errorf("%q", measured.Warnings)
	}
}
