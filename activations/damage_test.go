package activations

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/digest"
)

func TestBitRot(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 50)
	first := open(t, dir, 8)
	fill(t, first, items, FillOptions{Batch: 10, ShardRows: 10})
	before := content(t, first)
	names, err := shardNames(first.Dir())
	if err != nil || len(names) != 5 {
		t.Fatal(names, err)
	}
	for i, damage := range []func([]byte) []byte{
		func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, // one bit
		func(b []byte) []byte { return b[:len(b)-100] },      // cut short
		func([]byte) []byte { return nil },                   // emptied
	} {
		file := filepath.Join(first.Dir(), names[i])
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(file); err != nil { // a new file: the old one is mapped
			t.Fatal(err)
		}
		write(t, file, string(damage(data)))
	}
	c := open(t, dir, 8)
	warnings := c.Warnings()
	if len(warnings) != 3 {
		t.Errorf("%d warnings: %q", len(warnings), warnings)
	}
	for i, w := range warnings {
		if !strings.Contains(w, names[i]) || !strings.Contains(w, "damaged") {
			t.Errorf("warning %q does not name %s", w, names[i])
		}
		if _, err := os.Stat(filepath.Join(c.Dir(), names[i]+".damaged")); err != nil {
			t.Error(err)
		}
	}
	counts(t, "repaired", fill(t, c, items, FillOptions{}), 30, 20, 0, 0)
	if !slices.Equal(content(t, c), before) {
		t.Error("repaired rows differ")
	}
}

// Equal rows make a shard of the same name as the damaged one that was refused.
func TestBitRotRepairedUnderTheSameName(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 5)
	first := open(t, dir, 8)
	fill(t, first, items, FillOptions{})
	before := content(t, first)
	names, err := shardNames(first.Dir())
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	file := filepath.Join(first.Dir(), names[0])
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write(t, file, "damaged")
	c := open(t, dir, 8)
	counts(t, "repaired", fill(t, c, items, FillOptions{}), 5, 0, 0, 0)
	if again, err := shardNames(c.Dir()); err != nil || !slices.Equal(again, names) {
		t.Errorf("shards %v, want %v: the test has no point", again, names)
	}
	if c.Len() != 5 || !slices.Equal(content(t, c), before) {
		t.Errorf("%d rows, want the 5 that were there", c.Len())
	}
}

func TestShardOfAnotherKeyIsNotUsed(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 5)
	a := open(t, dir, 8)
	fill(t, a, items, FillOptions{})
	other := testKey
	other.View = "side-on/seed7/view1"
	b, err := Open(dir, other, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	names, err := shardNames(a.Dir())
	if err != nil || a.Dir() == b.Dir() {
		t.Fatal(err, a.Dir())
	}
	if err := os.Link(filepath.Join(a.Dir(), names[0]), filepath.Join(b.Dir(), names[0])); err != nil {
		t.Fatal(err)
	}
	if err := b.refresh(); err != nil {
		t.Fatal(err)
	}
	if w := b.Warnings(); b.Len() != 0 || len(w) != 1 || !strings.Contains(w[0], "made for another key; not used") {
		t.Errorf("%d rows, warnings %q", b.Len(), w)
	}
}

// testdata/reference/activations_pyarrow.arrow was written by
// activations_check.py with pyarrow: two record batches of five features.
func TestReadsPyarrow(t *testing.T) {
	data, err := os.ReadFile("../testdata/reference/activations_pyarrow.arrow")
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, t.TempDir(), 5)
	write(t, filepath.Join(c.Dir(), fmt.Sprintf("shard-%016x-%08x.arrow", 0, digest.CRC32C(data))), string(data))
	if err := c.refresh(); err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) > 0 || c.Len() != 7 {
		t.Fatalf("%d rows, want 7; warnings %q", c.Len(), w)
	}
	for i := range 7 {
		digest := strings.Repeat(fmt.Sprintf("%02x", i), 32)
		row, ok := c.Row(digest)
		want := []float32{float32(i), float32(i) + .25, float32(i) + .5, float32(i) + .75, float32(i) + 1}
		if !ok || !slices.Equal(row, want) {
			t.Errorf("row %d: %v %v, want %v", i, row, ok, want)
		}
	}
	if _, ok := c.Row("00"); ok {
		t.Error("a short digest finds a row")
	}
}

// rotten is a shard's file with one bit of a feature changed, as a disk may do: the table is whole, its value is not.
func rotten(t *testing.T, file []byte, k keyFile) []byte {
	t.Helper()
	sound, err := parseShard(file, k)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(file) - 1; i > 0; i-- {
		data := bytes.Clone(file)
		data[i] ^= 1
		if b, err := parseShard(data, k); err == nil && len(b) == 1 && !slices.Equal(b[0].features, sound[0].features) {
			return data
		}
	}
	t.Fatal("no bit of the file is a feature's")
	return nil
}

// A merge gives its rows a new checksum, so it takes none whose bytes changed:
// their shard stays for the next Open, which sets it aside.
func TestCompactionDoesNotSealDamage(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 8)
	for i := range 17 {
		shardOf(t, c, i, i+1)
	}
	name := shardsIn(t, c)[3]
	path := filepath.Join(c.Dir(), name)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // a new file: the old one is mapped
		t.Fatal(err)
	}
	write(t, path, string(rotten(t, file, c.key)))
	if e, ok := entry(c.Dir()); !ok || e.Rows != 17 { // which does not read all bytes to count
		t.Errorf("%d rows are listed", e.Rows)
	}
	if err := c.compact(); err != nil {
		t.Fatal(err)
	}
	if names := shardsIn(t, c); len(names) != 2 || !slices.Contains(names, name) {
		t.Errorf("%v, want the merged one and %s", names, name)
	}
	again := open(t, dir, 8)
	if w := again.Warnings(); len(w) != 1 || !strings.Contains(w[0], name+".damaged") || again.Len() != 16 {
		t.Errorf("%d rows, warnings %q", again.Len(), w)
	}
	for i := range 17 {
		if row, ok := again.row(numbered(i)); ok && !slices.Equal(row, slices.Repeat([]float32{float32(i)}, 8)) {
			t.Errorf("row %d is %v", i, row)
		}
	}
}

// A shard that is closed has no rows, which would point nowhere, and may be closed again.
func TestClosedTwice(t *testing.T) {
	c := open(t, t.TempDir(), 8)
	shardOf(t, c, 0, 3)
	s, err := openShard(filepath.Join(c.Dir(), shardsIn(t, c)[0]), c.key, true)
	if err != nil || s.rows() != 3 {
		t.Fatal(err)
	}
	if err := errors.Join(s.close(), s.close()); err != nil || s.rows() != 0 {
		t.Errorf("%d rows, %v", s.rows(), err)
	}
}

// What leads out of the file is damage that is told, and gives no rows.
func TestOffsetsOutOfAShard(t *testing.T) {
	_, file, err := threeRows().encode(fuzzKey)
	if err != nil {
		t.Fatal(err)
	}
	end := len(file) - len(magic) - 4 // the length of the footer
	for _, n := range []uint32{0, 3, uint32(end + 1), 1<<31 - 1, 1<<32 - 1} {
		data := bytes.Clone(file)
		binary.LittleEndian.PutUint32(data[end:], n)
		if batches, err := parseShard(data, fuzzKey); !errors.Is(err, errDamaged) || batches != nil ||
			!strings.Contains(err.Error(), "not a whole Arrow file") {
			t.Errorf("a footer of %d bytes: %d batches, %v", n, len(batches), err)
		}
	}
}

// fuzzKey is the key of the shards that FuzzShard starts from.
var fuzzKey = keyFile{Format: format, Features: 5, Key: testKey}

func FuzzShard(f *testing.F) {
	r := &rows{}
	for i := range 3 {
		r.add(fmt.Sprint("a/", i), "a", Digest{byte(i)}, []float32{1, 2, 3, 4, float32(i)})
	}
	_, file, err := r.encode(fuzzKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	if python, err := os.ReadFile("../testdata/reference/activations_pyarrow.arrow"); err == nil {
		f.Add(python)
	}
	f.Add([]byte("ARROW1\x00\x00ARROW1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		batches, err := parseShard(data, fuzzKey)
		if err != nil {
			return
		}
		for _, b := range batches {
			if len(b.features) != 5*len(b.digests) {
				t.Errorf("%d features for %d rows", len(b.features), len(b.digests))
			}
			for i := range b.digests {
				_ = b.paths.at(i) + b.labels.at(i)
			}
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(fuzzKey.bytes())
	f.Add([]byte(`{"format":1,"features":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := parseKey(data); err == nil && (k.Features < 1 || k.Format != format) {
			t.Errorf("%+v", k)
		}
	})
}
