package activations

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestManySmallShardsAreMerged(t *testing.T) {
	items := photos(t, 100)
	whole := open(t, t.TempDir(), 8)
	fill(t, whole, items, FillOptions{})
	dirs := []string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		for i := 0; i < 99; i += 5 { // as many runs, each stopped after a shard
			c := open(t, dir, 8)
			fill(t, c, items[:min(i+5, 100)], FillOptions{})
			if c.Len() != min(i+5, 100) {
				t.Fatalf("%d rows after %d", c.Len(), i+5)
			}
			if _, ok := c.Rows(items[:i+5]); slices.Contains(ok, false) {
				t.Fatal("a row is missing after a merge")
			}
		}
	}
	var names [2][]string
	for i, dir := range dirs {
		c := open(t, dir, 8)
		if names[i], _ = shardNames(c.Dir()); len(names[i]) >= manySmall {
			t.Errorf("%d shards", len(names[i]))
		}
		counts(t, "merged", fill(t, c, items, FillOptions{}), 0, 100, 0, 0)
		if !slices.Equal(content(t, c), content(t, whole)) {
			t.Error("merged rows differ from those of one run")
		}
	}
	if !slices.Equal(names[0], names[1]) {
		t.Errorf("merging is not deterministic: %v, %v", names[0], names[1])
	}
}

func TestListRemovePrune(t *testing.T) {
	dir := t.TempDir()
	if list, err := List(filepath.Join(dir, "none")); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	items := photos(t, 10)
	keys := []Key{testKey, testKey, testKey}
	for i := range keys {
		keys[i].View = []string{"centre", "view1", "view2"}[i]
		c, err := Open(dir, keys[i], 8)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, c, items[:5+i], FillOptions{ShardRows: 3, Batch: 3})
		used := time.Now().Add(-time.Duration(i+1) * time.Hour)
		if err := os.Chtimes(filepath.Join(c.Dir(), "key.json"), used, used); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "notes", "mine.txt"), "not a cache")
	list, err := List(dir)
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	for i, e := range list {
		if e.Key != keys[2-i] || e.Rows != 7-i || e.Features != 8 || e.Bytes < 1000 {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	gone, err := Prune(dir, PruneOptions{OlderThan: 150 * time.Minute})
	if err != nil || len(gone) != 1 || gone[0].Key != keys[2] {
		t.Errorf("older than 2.5 h: %+v %v", gone, err)
	}
	gone, err = Prune(dir, PruneOptions{KeepBytes: list[2].Bytes})
	if err != nil || len(gone) != 1 || gone[0].Key != keys[1] {
		t.Errorf("keep one: %+v %v", gone, err)
	}
	if c, err := Open(dir, keys[0], 8); err != nil || c.Len() != 5 || c.Close() != nil {
		t.Error("the last key is not what it was", err)
	}
	if err := Drop(dir, keys[0], 8); err != nil {
		t.Error(err)
	}
	if list, err = List(dir); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "notes", "mine.txt")); err != nil {
		t.Error(err)
	}
}

func TestRemoveLeavesFilesOfOthers(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 8)
	write(t, filepath.Join(c.Dir(), "mine.txt"), "keep")
	list, err := List(dir)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := Remove(list[0]); err == nil {
		t.Error("no error for a folder with another's file")
	}
	if _, err := os.Stat(filepath.Join(c.Dir(), "mine.txt")); err != nil {
		t.Error(err)
	}
	// what is open goes on working, and makes the key again
	items := photos(t, 5)
	counts(t, "after removal", fill(t, c, items, FillOptions{}), 5, 0, 0, 0)
	if list, err = List(dir); err != nil || len(list) != 1 || list[0].Rows != 5 || list[0].Key != testKey {
		t.Error(list, err)
	}
}

func TestOpenRepairsKeyAndSweeps(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 8)
	write(t, filepath.Join(c.Dir(), "key.json"), "{")
	stale := filepath.Join(c.Dir(), ".shard-0123456789abcdef-01234567.arrow1234567890123")
	fresh := filepath.Join(c.Dir(), ".shard-fedcba9876543210-01234567.arrow1234567890123")
	write(t, stale, "half")
	write(t, fresh, "half")
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, 8)
	if w := again.Warnings(); len(w) != 1 {
		t.Errorf("warnings %q", w)
	}
	if list, err := List(dir); err != nil || list[0].Key != testKey {
		t.Error(list, err)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("an old temporary file is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("another process's temporary file was removed")
	}
}

// A folder that happens to have a key.json in it belongs to somebody else.
func TestPruneLeavesOthersFolders(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 8)
	write(t, filepath.Join(c.Dir(), "lock-smith.txt"), "of mine")
	for _, name := range []string{"keys", strings.Repeat("a", 31), strings.Repeat("A", 32)} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "key.json"), "{}")
	}
	if removed, err := Prune(dir, PruneOptions{OlderThan: 1}); err == nil ||
		!strings.Contains(err.Error(), "files of others") {
		t.Errorf("%v, %v", removed, err)
	}
	for _, name := range []string{"keys/key.json", strings.Repeat("a", 31) + "/key.json",
		strings.Repeat("A", 32) + "/key.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(c.Dir(), "lock-smith.txt")); err != nil {
		t.Error(err)
	}
	if Holds(filepath.Join(dir, "keys")) || !Holds(func() string { open(t, dir, 8); return dir }()) {
		t.Error("what is a cache and what is none")
	}
}
