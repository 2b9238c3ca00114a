package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// linked makes links below root, and skips the test where there are none.
func linked(t *testing.T, root string, links map[string]string) {
	t.Helper()
	for link, target := range links {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(root, link)); err != nil {
			t.Skip(err)
		}
		if _, err := os.Lstat(filepath.Join(root, link)); err != nil { // wine says that it made one
			t.Skip(err)
		}
	}
}

// A link that leads to a folder above the photographs, wherever they really
// are, is not followed: it would list them again, and those of others too.
func TestLinksAboveThePhotographs(t *testing.T) {
	const set = "train/a/1.jpg=0 train/b/1.jpg=1"
	files := []string{"set/train/a/1.jpg", "set/train/b/1.jpg", "set/valid/a/1.jpg", "set/valid/b/1.jpg", "other/1.jpg"}
	for name, tt := range map[string]struct {
		links      map[string]string
		open       string
		want, warn string
	}{
		"above the part": {map[string]string{"set/train/a/up": "../.."}, "set", set, "not followed: train/a/up"},
		"above DATA":     {map[string]string{"set/train/a/up": "../../.."}, "set", set, "not followed: train/a/up"},
		"part is a link": {map[string]string{"data/train": "../set/train", "data/valid": "../set/valid",
			"set/train/a/up": "../.."}, "data", set, "not followed: train/a/up"},
		"part is a link, root": {map[string]string{"data/train": "../set/train", "data/valid": "../set/valid",
			"set/train/a/up": "../../.."}, "data", set, "not followed: train/a/up"},
		"DATA is a link": {map[string]string{"data/x": "../set", "set/train/b/up": "../../.."}, "data/x", set,
			"not followed: train/b/up"},
		"class is a link": {map[string]string{"data/train": "../set/train", "data/valid": "../set/valid",
			"set/train/a/up": "../a"}, "data", set, "not followed: train/a/up"},
		"a class that leads up": {map[string]string{"set/train/c": ".."}, "set", set, "not followed: train/c"},
		"a class above DATA":    {map[string]string{"set/train/c": "../.."}, "set", set, "not followed: train/c"},
		"its own folder": {map[string]string{"set/train/a/z": "deep"}, "set",
			"train/a/1.jpg=0 train/a/deep/2.jpg=0 train/b/1.jpg=1", "not followed: train/a/z"},
		"its own folder, by a way": {map[string]string{"set/train/a/0": "../../train/a/deep"}, "set",
			"train/a/1.jpg=0 train/a/deep/2.jpg=0 train/b/1.jpg=1", "not followed: train/a/0"},
		"elsewhere": {map[string]string{"set/train/a/more": "../../../other"}, "set",
			"train/a/1.jpg=0 train/a/more/1.jpg=0 train/b/1.jpg=1", ""},
		"another class": {map[string]string{"set/train/b/z": "../a"}, "set", "train/a/1.jpg=0 train/b/1.jpg=1 " +
			"train/b/z/1.jpg=1", ""},
	} {
		own := files
		if strings.HasPrefix(name, "its own") {
			own = append(files[:len(files):len(files)], "set/train/a/deep/2.jpg")
		}
		root := flat(t, own...)
		if err := os.MkdirAll(filepath.Join(root, "data"), 0o777); err != nil {
			t.Fatal(err)
		}
		linked(t, root, tt.links)
		got := mustOpen(t, filepath.Join(root, tt.open), Options{})
		equal(t, name, paths(got.Train), tt.want)
		if w := strings.Join(got.Warnings, "\n"); tt.warn != "" && !strings.Contains(w, tt.warn) ||
			tt.warn == "" && strings.Contains(w, "not followed") {
			t.Errorf("%s: warnings %q, want %q", name, w, tt.warn)
		}
	}
}

// The same where all files of a folder are scored.
func TestFilesOfLinkedFolders(t *testing.T) {
	root := flat(t, "all/in/1.jpg", "all/2.jpg")
	linked(t, root, map[string]string{"way": "all/in", "all/in/up": "..", "all/in/top": "../.."})
	for dir, want := range map[string]string{"way": "1.jpg=-1", "all": "2.jpg=-1 in/1.jpg=-1"} {
		items, warnings, err := Files(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, dir, paths(items), want)
		if len(warnings) != 1 || !strings.Contains(warnings[0], "not followed: ") {
			t.Errorf("%s: %q", dir, warnings)
		}
	}
}

// A labels file beside a link to the photographs' disk: the error names the
// folder to give as DATA, and with it they are read.
func TestLabelsBesideALinkToPhotographs(t *testing.T) {
	root := flat(t, "disk/images/1.jpg", "disk/images/2.jpg", "set/none")
	linked(t, root, map[string]string{"set/images": "../disk/images"})
	csv := filepath.Join(root, "set", "labels.csv")
	if err := os.WriteFile(csv, []byte("path,label\nimages/1.jpg,a\nimages/2.jpg,b\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	disk, err := filepath.EvalSymlinks(filepath.Join(root, "disk", "images"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Labelled("", Options{Labels: csv}); err == nil ||
		!strings.Contains(err.Error(), "give the folder that it leads to as DATA ("+disk+")") {
		t.Fatal(err)
	}
	set, err := Labelled(disk, Options{Labels: csv})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "photographs", paths(set.Valid), "images/1.jpg=0 images/2.jpg=1")
}
