package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"finetune/dataset/kinds"
	"finetune/internal/failure"
	"finetune/internal/faults"
)

// A pipe among photographs would hang who reads it.
func TestPipes(t *testing.T) {
	root := flat(t, photos("train", "valid")...)
	if err := unix.Mkfifo(filepath.Join(root, "train", "ants", "pipe.jpg"), 0o666); err != nil {
		t.Skip(err)
	}
	set := mustOpen(t, root, Options{})
	equal(t, "photographs", len(set.Train), 6)
	equal(t, "warnings", set.Warnings, "[dataset: "+root+": neither a file nor a folder, ignored: train/ants/pipe.jpg]")
	csv := filepath.Join(root, "labels.csv")
	if err := os.WriteFile(csv, []byte("path,label\ntrain/ants/1.jpg,a\ntrain/ants/pipe.jpg,a\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Labelled(root, Options{Labels: csv}); err == nil ||
		!strings.Contains(err.Error(), ":3: train/ants/pipe.jpg is not a file") {
		t.Error(err)
	}
	if _, err := Labelled(root, Options{Labels: filepath.Join(root, "train", "ants", "pipe.jpg")}); err == nil ||
		!strings.Contains(err.Error(), "not a file of at most") {
		t.Error(err)
	}
}

// closed takes a name's permissions away, for a user who is nobody, and gives them back.
func closed(t *testing.T, root, name string, do func() error) error {
	t.Helper()
	t.Chdir(root)
	if err := filepath.WalkDir(".",
		func(p string, d os.DirEntry, err error) error { return errors.Join(err, os.Chmod(p, 0o777)) }); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0); err != nil {
		t.Fatal(err)
	}
	err := faults.Unprivileged(do)
	if err := os.Chmod(name, 0o777); err != nil {
		t.Fatal(err)
	}
	return err
}

// Folders that cannot be listed are named, and who looks after them.
func TestFoldersThatCannotBeListed(t *testing.T) {
	for _, name := range []string{"train", "valid", "test", "train/ants", "valid/bees", "train/ants/deep", "test/deep"} {
		root := flat(t, append(photos("train", "valid"), "train/ants/deep/1.jpg", "test/1.jpg", "test/deep/1.jpg")...)
		err := closed(t, root, name, func() error { _, err := Open(".", Options{}); return err })
		if failure.KindOf(err) != failure.DataKind || !errors.Is(err, os.ErrPermission) ||
			!strings.Contains(err.Error(), name+": cannot list: permission denied; check its permissions") {
			t.Errorf("%s: %v", name, err)
		}
		err = closed(t, root, name, func() error { _, _, err := Files("."); return err })
		if failure.KindOf(err) != failure.DataKind ||
			!strings.Contains(err.Error(), name+": cannot list: permission denied") {
			t.Errorf("%s: files: %v", name, err)
		}
	}
	for _, name := range []string{"ants", "ants/deep"} {
		root := flat(t, append(photos("."), "ants/deep/1.jpg")...)
		err := closed(t, root, name, func() error { _, err := Open(".", Options{Fallback: 0.2}); return err })
		if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), name+": cannot list") {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := closed(t, flat(t, append(photos("train", "valid"), "extra/1.jpg")...), "extra",
		func() error { _, err := Open(".", Options{}); return err })
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "extra: cannot list") {
		t.Errorf("a folder beside train: %v", err)
	}
	err = closed(t, flat(t, "test/deep/1.jpg"), "test/deep",
		func() error { _, err := Open(".", Options{Fallback: 0.2}); return err })
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "test/deep: cannot list") {
		t.Errorf("no class folders: %v", err)
	}
	err = closed(t, flat(t, "only/1.jpg"), "only",
		func() error { _, err := Open(".", Options{Fallback: 0.2}); return err })
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "only: cannot list: permission denied; "+
		"check its permissions") {
		t.Errorf("the only folder: %v", err)
	}
	err = closed(t, flat(t, photos("sub")...), "sub",
		func() error { _, err := Open("sub", Options{Fallback: 0.2}); return err })
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "sub: cannot list: permission denied; check "+
		"its permissions") {
		t.Error(err)
	}
}

// Files that cannot be opened stay, under their names: the decoder says why.
func TestFilesThatCannotBeOpened(t *testing.T) {
	files := append(photos("train", "valid"), "train/ants/noext")
	err := closed(t, flat(t, files...), "train/ants/noext", func() error {
		set, err := Open(".", Options{})
		if err == nil && len(set.Train) != 7 {
			t.Errorf("train is %s", paths(set.Train))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	root := tree(t, map[string]string{"labels.csv": "path,label\na.jpg,a\n", "a.jpg": ""})
	err = closed(t, root, "labels.csv",
		func() error { _, err := Labelled(".", Options{Labels: "labels.csv"}); return err })
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "dataset: labels.csv: permission denied") {
		t.Error(err)
	}
	root = tree(t, map[string]string{"config.json": "{}", "SHA256SUMS": strings.Repeat("0", 64) + "  config.json\n"})
	err = closed(t, root, "SHA256SUMS", func() error {
		if kinds.OwnRun(".") {
			return errors.New("a run by sums that cannot be read")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A disk that fails is no reason to leave a photograph out, nor to call the data bad.
func TestDiskThatFails(t *testing.T) {
	file := filepath.Join(flat(t, "noext"), "noext")
	ok := faults.Refused(unix.SYS_READ, syscall.EIO, func() {
		if !kinds.LooksLikePicture(file) {
			t.Error("a file that the disk cannot read is left out")
		}
	})
	if !ok {
		t.Skip("skipped: system calls cannot be refused here")
	}
	root := flat(t, photos("train", "valid")...)
	for _, call := range []uint32{unix.SYS_GETDENTS64, unix.SYS_OPENAT} {
		faults.Refused(call, syscall.EIO, func() {
			_, err := Open(root, Options{})
			if !errors.Is(err, syscall.EIO) || failure.KindOf(err) != failure.Other {
				t.Errorf("folders: %v", err)
			}
			if _, _, err = Files(root); !errors.Is(err, syscall.EIO) || failure.KindOf(err) != failure.Other {
				t.Errorf("files: %v", err)
			}
		})
	}
}

// Every file and folder that is looked into is closed again.
func TestFilesAreClosed(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close forgotten ones
	files := map[string]string{"labels.csv": "path,label\ntrain/ants/1.jpg,a\n", "train/ants/SHA256SUMS": "x",
		"train/ants/config.json": "{}", "train/bees/noext": "\xff\xd8\xff"}
	for _, p := range photos("train", "valid") {
		files[p] = p
	}
	root := tree(t, files)
	open := func() int { return faults.OpenFiles(t) }
	before := 0
	for n := range 4 {
		if n == 1 { // the first round opens what the runtime keeps
			before = open()
		}
		mustOpen(t, root, Options{})
		_ = ValidFolder(root)
		if _, err := Labelled(root, Options{Labels: filepath.Join(root, "labels.csv")}); err != nil {
			t.Fatal(err)
		}
	}
	if after := open(); after != before {
		t.Errorf("%d files are open, %d were", after, before)
	}
}

// Where the working directory is gone, no relative path leads anywhere.
func TestPathsFromNowhere(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if real, err := realPath("p/1.jpg"); err == nil {
		t.Errorf("it leads to %q", real)
	}
}
