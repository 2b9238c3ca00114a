package demo

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/fetch"
	"finetune/internal/home"
)

// archive is a small wheel in the form of the real one: n cells, every third
// surely defective, pictures of their own bytes.
func archive(t *testing.T, n int) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	var labels strings.Builder
	add := func(name, content string) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		fmt.Fprintf(&labels, "images/cell%04d.png  %g                 %s\n", i, []float64{1, 1. / 3, 2. / 3, 0}[i%4],
			[]string{"mono", "poly"}[i/4%2])
		add(fmt.Sprintf("elpv_dataset/data/images/cell%04d.png", i), fmt.Sprint("picture ", i))
	}
	add("elpv_dataset/data/labels.csv", labels.String())
	add("elpv_dataset/utils.py", "code, not wanted")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cells.whl")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func prepared(t *testing.T, n int) string {
	t.Helper()
	t.Setenv("FINETUNE_HOME", t.TempDir())
	cells, err := readCells(archive(t, n))
	if err != nil {
		t.Fatal(err)
	}
	split(cells)
	if err := layOut(t.Context(), cells, Dir()); err != nil {
		t.Fatal(err)
	}
	return Dir()
}

func count(t *testing.T, pattern ...string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestLayOut(t *testing.T) {
	dir := prepared(t, 160) // 20 cells in each of 8 strata of probability and module
	for part, want := range map[string]int{"train/defective": 60, "train/functional": 60, "valid/defective": 20,
		"valid/functional": 20} {
		if n := count(t, dir, part, "cell*.png"); n != want {
			t.Errorf("%s holds %d pictures, want %d", part, n, want)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, notice))
	if err != nil || !strings.Contains(string(text), "CC BY-NC-SA") ||
		!strings.Contains(string(text), "valid/defective: 20") {
		t.Errorf("notice: %q, %v", text, err)
	}
	if done, err := complete(dir); !done || err != nil {
		t.Errorf("complete: %v, %v", done, err)
	}
	// Nothing is fetched where the folder is whole: there is no network in this test.
	if got, err := Prepare(t.Context(), Options{}); got != dir || err != nil {
		t.Errorf("Prepare: %s, %v", got, err)
	}
}

func TestLabelsDecideTheFolder(t *testing.T) {
	dir := prepared(t, 8)
	for file, class := range map[string]string{"cell0000": "defective", "cell0001": "functional", "cell0002": "defective",
		"cell0003": "functional"} {
		if count(t, dir, "*", class, file+".png") != 1 {
			t.Errorf("%s is not %s", file, class)
		}
	}
}

func TestSplitKeepsEqualPicturesTogether(t *testing.T) {
	// Four pictures, three of them equal: wherever the quarter ends, equal ones are on one side.
	for i := range 50 {
		cells := make([]cell, 4)
		for j := range cells {
			cells[j].file = fmt.Sprint(j)
			cells[j].digest = sha256.Sum256(fmt.Append(nil, i, max(j, 2)))
		}
		split(cells)
		if cells[0].part != cells[1].part || cells[1].part != cells[2].part {
			t.Fatalf("equal pictures are in %s, %s, %s", cells[0].part, cells[1].part, cells[2].part)
		}
	}
}

func TestDamagedFolderIsLaidOutAgain(t *testing.T) {
	dir := prepared(t, 16)
	victims, _ := filepath.Glob(filepath.Join(dir, "train", "*", "*.png"))
	if err := os.Remove(victims[0]); err != nil {
		t.Fatal(err)
	}
	if done, err := complete(dir); done || err != nil {
		t.Errorf("complete with a picture missing: %v, %v", done, err)
	}
}

func TestForeignFolderIsLeftAlone(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	mine := filepath.Join(Dir(), "mine.png")
	if err := os.MkdirAll(Dir(), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), Dir()) {
		t.Errorf("error %v, want it to name %s", err, Dir())
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("the user's file is gone: %v", err)
	}
}

func TestCancelledLayOutLeavesNothing(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	cells, err := readCells(archive(t, 8))
	if err != nil {
		t.Fatal(err)
	}
	split(cells)
	os.MkdirAll(home.Path("data"), 0o777)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := layOut(ctx, cells, Dir()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the cancellation", err)
	}
	if n := count(t, home.Path("data"), "*"); n != 0 {
		t.Errorf("%d things left behind", n)
	}
}

func TestPrepareFromWrongArchive(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	file := archive(t, 4)
	if _, err := Prepare(t.Context(), Options{From: file}); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), file) {
		t.Errorf("error %v, want bad data naming %s", err, file)
	}
}

func TestParseLabelsRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":  "",
		"fields": "images/a.png 0.5",
		"number": "images/a.png half mono",
		"NaN":    "images/a.png NaN mono",
		"range":  "images/a.png 1.5 mono",
		"twice":  "images/a.png 1 mono\nimages/a.png 0 mono",
	} {
		if cells, err := parseLabels([]byte(text)); err == nil {
			t.Errorf("%s: %+v, no error", name, cells)
		}
	}
}

func FuzzParseLabels(f *testing.F) {
	f.Add([]byte("images/cell0001.png  1.0                 mono\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cells, err := parseLabels(data)
		for _, c := range cells {
			if err != nil || !(c.probability >= 0 && c.probability <= 1) {
				t.Errorf("%+v, %v", c, err)
			}
		}
	})
}

// The real archive, where it has been fetched. want: the data set's own counts
// (functional 705 mono and 1,098 poly, defective 369 and 452), a quarter of each rounded.
func TestRealArchive(t *testing.T) {
	file, _, err := fetch.Installed(name)
	if err != nil {
		t.Skipf("the solar cells are not here: %v; `make demo` fetches them", err)
	}
	cells, err := readCells(file)
	if err != nil {
		t.Fatal(err)
	}
	split(cells)
	counts := map[string]int{}
	sides := map[[sha256.Size]byte]string{}
	for _, c := range cells {
		counts[c.part+"/"+c.class()]++
		if side, ok := sides[c.digest]; ok && side != c.part {
			t.Errorf("%s: an equal picture is in %s", c.file, side)
		}
		sides[c.digest] = c.part
	}
	for part, want := range map[string]int{"train/defective": 616, "valid/defective": 205, "train/functional": 1352,
		"valid/functional": 451} {
		if counts[part] != want {
			t.Errorf("%s: %d cells, want %d", part, counts[part], want)
		}
	}
}

// Photographs that somebody put among ours are named, and not removed to lay
// out the others again.
func TestLayOutLeavesOthersPhotographs(t *testing.T) {
	dir := prepared(t, 32)
	cells, err := readCells(archive(t, 32))
	if err != nil {
		t.Fatal(err)
	}
	split(cells)
	lost := filepath.Join(dir, cells[0].part, cells[0].class(), filepath.Base(cells[0].file))
	if err := os.Remove(lost); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, "train", "defective", "mine.png")
	if err := os.WriteFile(mine, []byte("of mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := layOut(t.Context(), cells, dir); err == nil || !strings.Contains(err.Error(), mine) {
		t.Errorf("error %v does not name %s", err, mine)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
	if err := os.Remove(mine); err != nil {
		t.Fatal(err)
	}
	if err := layOut(t.Context(), cells, dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(lost); err != nil {
		t.Error(err)
	}
}
