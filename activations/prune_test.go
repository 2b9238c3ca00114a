package activations

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// The files that prune may remove, and no others.
func TestOwnFile(t *testing.T) {
	const shard = "shard-0123456789abcdef-01234567.arrow"
	for name, own := range map[string]bool{
		"key.json": true, shard: true, shard + ".damaged": true, "." + shard + "1234567890123": true,
		".key.json1234567890123": true,
		"lock-compact":           true, "lock-0123456789abcdef": true,
		"key.json.damaged": false, "keys.json": false, "mine.txt": false, shard + ".bak": false, "a" + shard: false,
		strings.ToUpper(shard): false,
		"lock-0123456789abcde": false, "lock-compact2": false, "lock-smith": false, "shard-0123456789abcdef.arrow": false,
		".mine.txt1234567890123": false,
	} {
		if OwnFile(name) != own {
			t.Errorf("%s: %v, want %v", name, !own, own)
		}
	}
}

// three makes three keys, of 1, 2 and 3 rows, unused for 3, 2 and 1 hours.
func three(t *testing.T, dir string) []Entry {
	t.Helper()
	items := photos(t, 3)
	for i, view := range []string{"one", "two", "three"} {
		key := testKey
		key.View = view
		c, err := Open(dir, key, 8)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, c, items[:i+1], FillOptions{})
		used := time.Now().Add(-time.Duration(3-i) * time.Hour)
		if err := os.Chtimes(filepath.Join(c.Dir(), "key.json"), used, used); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	list, err := List(dir)
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	return list
}

// An entry's bytes are those of the files that go with it.
func TestEntries(t *testing.T) {
	dir := t.TempDir()
	list := three(t, dir)
	for i, e := range list {
		if e.Rows != i+1 || e.Key.View != []string{"one", "two", "three"}[i] {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	e := list[1]
	var bytes int64
	files, err := os.ReadDir(e.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	write(t, filepath.Join(e.Dir, "mine.txt"), "of somebody")
	write(t, filepath.Join(e.Dir, "shard-0123456789abcdef-01234567.arrow"), "damage")
	if again, ok := entry(e.Dir); !ok || e.Bytes != bytes || again.Bytes != bytes+int64(len("damage")) || again.Rows != 2 {
		t.Errorf("%+v, then %+v; %d bytes", e, again, bytes)
	}
	// a row in two shards is one row
	c, err := Open(dir, e.Key, 8)
	if err != nil {
		t.Fatal(err)
	}
	r := &rows{}
	r.add("again", "", c.shards[0].batches[0].digests[0], make([]float32, 8))
	if err := c.save(r); err != nil {
		t.Fatal(err)
	}
	if again, _ := entry(e.Dir); again.Rows != 2 || len(shardsIn(t, c)) != 2 {
		t.Errorf("%d rows in %d shards", again.Rows, len(shardsIn(t, c)))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	// a damaged key is listed, to be removed; what is no folder or has no key is not
	write(t, filepath.Join(e.Dir, "key.json"), "{")
	if again, ok := entry(e.Dir); !ok || again.Key != (Key{}) || again.Rows != 0 || again.Features != 0 ||
		again.Bytes < 100 || time.Since(again.LastUsed) > time.Minute {
		t.Errorf("%+v, %v", again, ok)
	}
	write(t, filepath.Join(dir, strings.Repeat("0", 32)), "a file")
	if err := os.Mkdir(filepath.Join(dir, strings.Repeat("1", 32)), 0o777); err != nil {
		t.Fatal(err)
	}
	if list, err := List(dir); err != nil || len(list) != 3 {
		t.Errorf("%+v, %v", list, err)
	}
	// equal times are ordered by folder
	now := time.Now().Add(-time.Hour)
	for _, e := range list {
		if err := os.Chtimes(filepath.Join(e.Dir, "key.json"), now, now); err != nil {
			t.Fatal(err)
		}
	}
	if list, err = List(dir); err != nil ||
		!slices.IsSortedFunc(list, func(a, b Entry) int { return strings.Compare(a.Dir, b.Dir) }) {
		t.Errorf("%+v, %v", list, err)
	}
}

// Prune removes the longest unused until the rest fits, exactly, or what is too old.
func TestPruneToTheByte(t *testing.T) {
	dir := t.TempDir()
	list := three(t, dir)
	total := list[0].Bytes + list[1].Bytes + list[2].Bytes
	for _, c := range []struct {
		o    PruneOptions
		want []string
	}{
		{PruneOptions{}, nil},
		{PruneOptions{KeepBytes: -1, OlderThan: -time.Hour}, nil},
		{PruneOptions{KeepBytes: total}, nil},
		{PruneOptions{OlderThan: 4 * time.Hour}, nil},
		{PruneOptions{KeepBytes: total - 1}, []string{"one"}},
		{PruneOptions{KeepBytes: list[1].Bytes + list[2].Bytes, OlderThan: 90 * time.Minute}, []string{"two"}},
		{PruneOptions{KeepBytes: 1}, []string{"three"}},
	} {
		gone, err := Prune(dir, c.o)
		var views []string
		for _, e := range gone {
			views = append(views, e.Key.View)
		}
		if err != nil || !slices.Equal(views, c.want) {
			t.Errorf("%+v removed %v, %v; want %v", c.o, views, err, c.want)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	if _, err := Prune(file, PruneOptions{KeepBytes: 1}); err == nil {
		t.Error("a file was pruned")
	}
}

// Prune removes both, the old and then the rest over the limit, and stops at what it cannot remove.
func TestPruneThatFails(t *testing.T) {
	dir := t.TempDir()
	list := three(t, dir)
	stuck := filepath.Join(list[1].Dir, "lock-compact")
	if err := os.MkdirAll(filepath.Join(stuck, "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	gone, err := Prune(dir, PruneOptions{KeepBytes: 1})
	if err == nil || !strings.HasPrefix(err.Error(), "activations: ") || !strings.Contains(err.Error(), stuck) ||
		len(gone) != 1 || gone[0].Dir != list[0].Dir {
		t.Errorf("%+v, %v", gone, err)
	}
	if files, err := os.ReadDir(list[1].Dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v: the rest of the folder was to go", files, err)
	}
	if _, err := os.Stat(list[2].Dir); err != nil {
		t.Error(err)
	}
	if err := Remove(list[0]); err == nil || !strings.HasPrefix(err.Error(), "activations: ") {
		t.Errorf("a folder that is gone: %v", err)
	}
}

// Drop removes one key, and needs none.
func TestDrop(t *testing.T) {
	dir := t.TempDir()
	list := three(t, dir)
	if err := Drop(dir, testKey, 8); err != nil {
		t.Error(err)
	}
	if err := Drop(dir, list[1].Key, 9); err != nil {
		t.Error(err)
	}
	if now, err := List(dir); err != nil || len(now) != 3 {
		t.Errorf("%+v, %v", now, err)
	}
	if err := Drop(dir, list[1].Key, 8); err != nil {
		t.Error(err)
	}
	if now, err := List(dir); err != nil || len(now) != 2 || now[0].Dir != list[0].Dir || now[1].Dir != list[2].Dir {
		t.Errorf("%+v, %v", now, err)
	}
	if Holds(t.TempDir()) || Holds(filepath.Join(dir, "none")) || !Holds(dir) {
		t.Error("what is a cache and what is none")
	}
	empty := t.TempDir()
	if err := os.Mkdir(filepath.Join(empty, strings.Repeat("a", 32)), 0o777); err != nil {
		t.Fatal(err)
	}
	if Holds(empty) {
		t.Error("a folder without a key is taken for a cache")
	}
}

// A folder that others may only read is used all the same.
func TestFolderThatIsReadOnly(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("modes bind neither Windows nor root")
	}
	dir, items := t.TempDir(), photos(t, 3)
	c := open(t, dir, 8)
	fill(t, c, items, FillOptions{})
	if err := os.Chmod(c.Dir(), 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(c.Dir(), 0o777)
	counts(t, "read", fill(t, open(t, dir, 8), items, FillOptions{}), 0, 3, 0, 0)
}
