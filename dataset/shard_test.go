package dataset

import (
	"archive/tar"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/reading"
)

// tarOf writes a tar of names, each of which holds its own name.
func tarOf(t *testing.T, file string, names ...string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	defer w.Close()
	for _, name := range names {
		err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(name)), Mode: 0o644})
		if err == nil {
			_, err = w.Write([]byte(name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestShardsAreTheirPhotographs(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	tarOf(t, filepath.Join(dir, "b.tar"), "2.jpg", "2.cls", "1.PNG", "../up.jpg", "/abs.jpg", "no.txt")
	tarOf(t, filepath.Join(dir, "sub", "A.TAR"), "x.tar/deep.jpg")
	if err := os.WriteFile(filepath.Join(dir, "up.jpg.txt"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	shard := []string{"b.tar/../up.jpg", "b.tar//abs.jpg", "b.tar/1.PNG", "b.tar/2.jpg"}
	for root, want := range map[string][]string{
		filepath.Join(dir, "b.tar"): shard, dir: append(shard[:4:4], "sub/A.TAR/x.tar/deep.jpg"),
	} {
		items, _, err := Files(root)
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, it := range items {
			paths = append(paths, it.Path)
			data, err := reading.File(it.File, reading.MaxPhoto)
			if err != nil || !strings.HasSuffix(it.File, "/"+string(data)) {
				t.Errorf("%s: %q, %v", it.File, data, err)
			}
			if info, err := reading.Stat(it.File); err != nil || info.Size() != int64(len(data)) {
				t.Errorf("%s: %v, %v", it.File, info, err)
			}
		}
		if !slices.Equal(paths, want) {
			t.Errorf("%s: %q, want %q", root, paths, want)
		}
	}
}

// A tar beside photographs is left out, as it always was.
func TestATarBesidePhotographsIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	tarOf(t, filepath.Join(dir, "backup.tar"), "1.jpg")
	if err := os.WriteFile(filepath.Join(dir, "1.jpg"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	items, warnings, err := Files(dir)
	if err != nil || len(items) != 1 || items[0].Path != "1.jpg" ||
		!strings.Contains(strings.Join(warnings, " "), ".tar") {
		t.Errorf("%v, %q, %v", items, warnings, err)
	}
}

func TestShardsThatCannotBeListed(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	tarOf(t, in("none.tar"), "1.txt")
	tarOf(t, in("twice.tar"), "1.jpg", "2.jpg", "1.jpg")
	tarOf(t, in("cut.tar"), "1.jpg", strings.Repeat("2", 90)+".jpg")
	if err := os.Truncate(in("cut.tar"), 1540); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"empty.tar": "", "text.tar": strings.Repeat("text", 500),
		"a.tar.gz": "\x1f\x8bx", "a.tgz": "\x1f\x8bx"} {
		if err := os.WriteFile(in(name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"none.tar": "no photographs", "twice.tar": "1.jpg", "cut.tar": "byte 1540",
		"empty.tar": "empty", "text.tar": "byte", "a.tar.gz": "gunzip", "a.tgz": "gunzip"} {
		items, _, err := Files(in(name))
		if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), in(name)) {
			t.Errorf("%s: %v, %v", name, items, err)
		}
	}
}
