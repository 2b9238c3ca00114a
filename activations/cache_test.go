package activations

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"finetune/dataset"
	"finetune/internal/durable"
)

// The folder's name and key.json are a format: rows of earlier versions are found by them.
func TestKeyIsAFormat(t *testing.T) {
	const text = `{
  "format": 1,
  "features": 8,
  "key": {
    "body": "b0dy",
    "cut": "layer4",
    "preprocess": "fake",
    "size": 4,
    "view": "centre",
    "precision": "float32"
  }
}
`
	c := open(t, t.TempDir(), 8)
	sum := sha256.Sum256([]byte(text))
	if filepath.Base(c.Dir()) != hex.EncodeToString(sum[:16]) {
		t.Errorf("folder %s", c.Dir())
	}
	if data, err := os.ReadFile(filepath.Join(c.Dir(), "key.json")); err != nil || string(data) != text {
		t.Errorf("key.json is %s, %v", data, err)
	}
	if k, err := parseKey([]byte(text)); err != nil || k.Key != testKey || k.Features != 8 {
		t.Errorf("%+v, %v", k, err)
	}
	for old, fresh := range map[string]string{
		`"format": 1`: `"format": 2`, `"features": 8`: `"features": 0`, `8`: `1048577`, `"size": 4`: `"side": 4`, "}\n}": "}",
		"1,": "1, \"more\": 2,",
	} {
		if k, err := parseKey([]byte(strings.Replace(text, old, fresh, 1))); err == nil {
			t.Errorf("with %s for %s: %+v", fresh, old, k)
		}
	}
	for _, n := range []string{"1", "1048576"} {
		if _, err := parseKey([]byte(strings.Replace(text, "8", n, 1))); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{-1, 0, 1<<20 + 1} {
		if _, err := Open(dir, testKey, n); err == nil || !strings.Contains(err.Error(), "1048576") {
			t.Errorf("%d features: %v", n, err)
		}
	}
	for _, n := range []int{1, 1 << 20} {
		if c := open(t, dir, n); c.Features() != n {
			t.Errorf("%d features are %d", n, c.Features())
		}
	}
	file := filepath.Join(dir, "file")
	write(t, file, "")
	if _, err := Open(file, testKey, 8); err == nil || !strings.Contains(err.Error(), file) ||
		!strings.Contains(err.Error(), "--cache") {
		t.Errorf("in a file: %v", err)
	}
	if list, err := List(file); err == nil || list != nil {
		t.Errorf("a file lists %v", list)
	}
	c := open(t, dir, 8)
	key := filepath.Join(c.Dir(), "key.json")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(key, "of others"), "")
	if _, err := Open(dir, testKey, 8); err == nil || !strings.Contains(err.Error(), key) ||
		!strings.Contains(err.Error(), "--cache") {
		t.Errorf("with a folder for a key: %v", err)
	}
}

// The time of key.json is that of the last use; what is old and no temporary file stays.
func TestOpenTouchesTheKeyAlone(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 5)
	c := open(t, dir, 8)
	fill(t, c, items, FillOptions{})
	write(t, filepath.Join(c.Dir(), "mine.txt"), "")
	write(t, filepath.Join(c.Dir(), ".mine.txt1234567890123"), "")
	entries, err := os.ReadDir(c.Dir())
	if err != nil || len(entries) != 4 {
		t.Fatal(entries, err)
	}
	old := time.Now().Add(-3 * time.Hour)
	for _, e := range entries {
		if err := os.Chtimes(filepath.Join(c.Dir(), e.Name()), old, old); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, dir, 8)
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(c.Dir(), e.Name()))
		if err != nil {
			t.Error(err)
		} else if used := time.Since(info.ModTime()) < time.Hour; used != (e.Name() == "key.json") {
			t.Errorf("%s is of %v", e.Name(), info.ModTime())
		}
	}
	if w := again.Warnings(); again.Len() != 5 || len(w) > 0 {
		t.Errorf("%d rows, warnings %q", again.Len(), w)
	}
}

func TestShardsThatAreNone(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 8)
	name := func(i int) string { return fmt.Sprintf("shard-%016x-%08x.arrow", i, i) }
	file := func(i int) string { return filepath.Join(c.Dir(), name(i)) }
	if err := os.Mkdir(file(1), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, file(2), "damaged, and no way to set it aside")
	write(t, filepath.Join(file(2)+".damaged", "file"), "")
	want := []string{name(1) + ": damaged", name(2) + ": damaged: checksum"}
	if runtime.GOOS != "windows" {
		if err := os.Symlink("nowhere", file(3)); err != nil { // as one that another process merged
			t.Fatal(err)
		}
	}
	if err := c.refresh(); err != nil {
		t.Fatal(err)
	}
	warnings := c.Warnings()
	if len(warnings) != len(want) || c.Len() != 0 {
		t.Fatalf("%d rows, warnings %q", c.Len(), warnings)
	}
	for i, w := range want {
		if !strings.HasPrefix(warnings[i], "activations: ") || !strings.Contains(warnings[i], w) {
			t.Errorf("warning %q, want %q", warnings[i], w)
		}
	}
	if !strings.Contains(warnings[0], "set aside as "+name(1)+".damaged") ||
		!strings.Contains(warnings[1], "not used, and not set aside") {
		t.Errorf("warnings %q", warnings)
	}
	if err := c.refresh(); err != nil || len(c.Warnings()) > 0 {
		t.Errorf("told twice, %v", err)
	}
}

// What Row returned stays true when the row comes again from elsewhere.
func TestTheFirstRowStays(t *testing.T) {
	c := open(t, t.TempDir(), 2)
	save := func(path string, v float32) {
		r := &rows{}
		r.add(path, "a", Digest{7}, []float32{v, v})
		r.add(path, "a", Digest{8, byte(v)}, []float32{v, v})
		if err := c.save(r); err != nil {
			t.Fatal(err)
		}
	}
	save("first", 1)
	row, ok := c.Row(Digest{7}.String())
	save("second", 2)
	save("second", 2) // the same file again
	if again, _ := c.Row(Digest{7}.String()); !ok || row[0] != 1 || &again[0] != &row[0] || c.Len() != 3 ||
		len(c.shards) != 2 {
		t.Errorf("%v, then %v; %d rows in %d shards", row, again, c.Len(), len(c.shards))
	}
	full := Digest{7}.String()
	for _, digest := range []string{"", "07", full[:63], full + "0", full + "00", "x" + full[1:], strings.Repeat("z", 64),
		Digest{9}.String()} {
		if row, ok := c.Row(digest); ok || row != nil {
			t.Errorf("%q has the row %v", digest, row)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Row(full); ok || c.Len() != 0 {
		t.Error("a row after Close")
	}
}

// Rows reads files that Fill has not seen, to know them, and none twice.
func TestRowsOfFilesUnseen(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 6)
	fill(t, open(t, dir, 8), items[:4], FillOptions{})
	c := open(t, dir, 8)
	if err := os.Remove(items[2].File); err != nil {
		t.Fatal(err)
	}
	x, ok := c.Rows(items)
	if !slices.Equal(ok, []bool{true, true, false, true, false, false}) || len(x) != 48 {
		t.Fatalf("%v", ok)
	}
	for i, v := range x {
		if (v != 0) != ok[i/8] {
			t.Errorf("row %d: %v, found %v", i/8, v, ok[i/8])
		}
	}
	sum := sha256.Sum256([]byte("photo 1"))
	write(t, items[1].File, "another")
	if got := c.Digest(items[1].File); got != hex.EncodeToString(sum[:]) {
		t.Errorf("%s was read again", got)
	}
	if got := c.Digest(items[2].File); got != "" {
		t.Errorf("a file that is gone has the digest %s", got)
	}
	sum = sha256.Sum256([]byte("photo 5"))
	if got := open(t, dir, 8).Digest(items[5].File); got != hex.EncodeToString(sum[:]) {
		t.Errorf("%s is not the file's", got)
	}
	if x, ok := c.Rows(nil); len(x) != 0 || len(ok) != 0 {
		t.Error("rows of nothing")
	}
}

// A shard has 8 MB of features, between 64 and 2,048 rows.
func TestShardSize(t *testing.T) {
	for features, want := range map[int]int{1: 2048, 512: 2048, 1024: 2048, 1280: 1638, 2048: 1024, 1 << 14: 128,
		1 << 15: 64, 1 << 17: 64, 1 << 20: 64} {
		if got := open(t, t.TempDir(), features).shardRows(); got != want {
			t.Errorf("%d features: %d rows, want %d", features, got, want)
		}
	}
}

// What the disk did to a shard between writing and reading back is told.
func TestWrittenAndReadBack(t *testing.T) {
	items := photos(t, 3)
	for name, c := range map[string]struct {
		step durable.Step
		do   func(path string) error
		want string
	}{
		"full": {durable.Data, func(string) error { return errors.New("no room") },
			"no room; free some space or choose another folder with --cache"},
		"damaged": {durable.SyncFolder, func(path string) error { return os.WriteFile(path, []byte("other bytes"), 0o666) },
			"check the disk"},
		"a bit": {durable.SyncFolder, func(path string) error {
			file, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, rotten(t, file, keyFile{Format: format, Features: 8, Key: testKey}), 0o666)
		}, "written and read back: damaged: checksum"},
		"merged": {durable.SyncFolder, os.Remove, ""},
	} {
		cache := open(t, t.TempDir(), 8)
		failSteps(t, c.step, "shard-", c.do)
		r, err := cache.Fill(t.Context(), items, &fakeBody{features: 8}, fakeLoad, FillOptions{})
		if r.Computed != 3 || (err == nil) != (c.want == "") ||
			err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), cache.Dir())) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if cache.Len() != 0 {
			t.Errorf("%s: %d rows", name, cache.Len())
		}
		durable.Before = func(durable.Step, string) error { return nil }
	}
}

// A folder that vanished is an error, not an empty cache.
func TestRefreshWithoutTheFolder(t *testing.T) {
	c := open(t, t.TempDir(), 8)
	if err := os.RemoveAll(c.Dir()); err != nil {
		t.Fatal(err)
	}
	if err := c.refresh(); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "activations: ") {
		t.Errorf("%v", err)
	}
}

// A disk that cannot hold the rows is told of before the others' lock is asked for.
func TestFullDiskIsToldBeforehand(t *testing.T) {
	items := photos(t, 3)
	c := open(t, t.TempDir(), 8)
	fill(t, c, items[:1], FillOptions{})
	c.key.Features = 1 << 50 // no memory holds a row either, so nothing is filled with them here
	f := &filler{c: c, items: items[1:]}
	err := f.lock()
	locks, _ := filepath.Glob(filepath.Join(c.Dir(), "lock-*"))
	if err == nil || len(locks) > 0 || !strings.HasPrefix(err.Error(), "activations: "+c.Dir()) ||
		!strings.Contains(err.Error(), "needed; free some space") {
		t.Fatalf("%v", err)
	}
	// one row of 2^50 floats: of two items, one may be the row that is there
	if !strings.Contains(err.Error(), "4503599.6 GB needed") {
		t.Errorf("%v", err)
	}
	for n, refused := range map[int]bool{0: false, 1: false, 2: true} { // as many rows as items are there
		if err := (&filler{c: c, items: make([]dataset.Item, n)}).room(); (err != nil) != refused {
			t.Errorf("%d items: %v", n, err)
		}
	}
}
