package activations

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"finetune/dataset"
)

// fakeBody sums each image in four ways, slowly if asked to.
type fakeBody struct {
	features int
	delay    time.Duration
	runs     atomic.Int64
	images   atomic.Int64
	after    func(run int64) error // called after each Run
}

func (b *fakeBody) Features() int { return b.features }

func (b *fakeBody) Run(ctx context.Context, images []float32, n int, features []float32) error {
	time.Sleep(b.delay)
	size := len(images) / n
	for i := range n {
		var sum float32
		for _, v := range images[i*size : (i+1)*size] {
			sum += v
		}
		for k := range b.features {
			features[i*b.features+k] = sum + float32(k)/8
		}
	}
	b.images.Add(int64(n))
	run := b.runs.Add(1)
	if b.after != nil {
		return b.after(run)
	}
	return ctx.Err()
}

// fakeLoad makes an image of the file's SHA-256; a file that begins with "bad" is none.
func fakeLoad(dst []float32, data []byte, it dataset.Item) error {
	switch {
	case strings.HasPrefix(string(data), "panic"):
		panic("index out of range")
	case strings.HasPrefix(string(data), "bad"):
		return &badFile{"unsupported", "no picture", nil}
	}
	sum := sha256.Sum256(data)
	if it.Digest != Digest(sum).String() {
		return fmt.Errorf("digest %s given for %x", it.Digest, sum)
	}
	for i := range dst {
		dst[i] = float32(sum[i%len(sum)])
	}
	return nil
}

var testKey = Key{Body: "b0dy", Cut: "layer4", Preprocess: "fake", Size: 4, View: "centre", Precision: "float32"}

// photos writes n different files and returns their items.
func photos(t testing.TB, n int) []dataset.Item {
	t.Helper()
	dir := t.TempDir()
	items := make([]dataset.Item, n)
	for i := range items {
		path := fmt.Sprintf("%c/%04d.jpg", 'a'+i%2, i)
		items[i] = dataset.Item{Path: path, File: filepath.Join(dir, path), Label: i % 2, Class: path[:1]}
		write(t, items[i].File, fmt.Sprintf("photo %d", i))
	}
	return items
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string, features int) *Cache {
	t.Helper()
	c, err := Open(dir, testKey, features)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func fill(t testing.TB, c *Cache, items []dataset.Item, o FillOptions) Report {
	t.Helper()
	r, err := c.Fill(t.Context(), items, &fakeBody{features: c.Features()}, fakeLoad, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// counts fails the test unless r has these numbers.
func counts(t testing.TB, what string, r Report, computed, reused, duplicates, skipped int) {
	t.Helper()
	got := [4]int{r.Computed, r.Reused, r.Duplicates, len(r.Skipped)}
	if want := [4]int{computed, reused, duplicates, skipped}; got != want {
		t.Errorf("%s: computed, reused, duplicates, skipped = %v, want %v", what, got, want)
	}
}

// content lists every row on disk as text, sorted by digest.
func content(t testing.TB, c *Cache) []string {
	t.Helper()
	names, err := shardNames(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range names {
		s, err := openShard(filepath.Join(c.dir, name), c.key, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range s.batches {
			for i, d := range b.digests {
				all = append(all, fmt.Sprintf("%v %s %s %x", d, b.paths.at(i), b.labels.at(i),
					b.features[i*c.Features():][:c.Features()]))
			}
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}

func TestFillThenReuse(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 100)
	c := open(t, dir, 8)
	var last [3]int
	o := FillOptions{Workers: 3, Batch: 16, ShardRows: 24,
		Progress: func(done, total, computed int) { last = [3]int{done, total, computed} }}
	counts(t, "first", fill(t, c, items, o), 100, 0, 0, 0)
	if last != [3]int{100, 100, 100} {
		t.Errorf("last progress %v", last)
	}
	counts(t, "second", fill(t, c, items, o), 0, 100, 0, 0)

	again := open(t, dir, 8)
	counts(t, "reopened", fill(t, again, items, o), 0, 100, 0, 0)
	x, ok := again.Rows(items)
	for i := range items {
		data, err := os.ReadFile(items[i].File)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		var want float32
		for k := range 48 {
			want += float32(sum[k%32])
		}
		if !ok[i] || x[i*8] != want || x[i*8+7] != want+7./8 {
			t.Errorf("row %d: %v %v, want %v first", i, ok[i], x[i*8:i*8+8], want)
		}
		row, found := again.Row(Digest(sum).String())
		if !found || !slices.Equal(row, x[i*8:i*8+8]) {
			t.Errorf("Row(%x) = %v %v", sum, row, found)
		}
	}
}

func TestChangeOneFile(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 40)
	fill(t, open(t, dir, 4), items, FillOptions{})
	write(t, items[7].File, "another photo")
	items = append(items[:20], items[21:]...) // and one deleted
	extra := photos(t, 41)[40]
	counts(t, "one changed, one added, one deleted", fill(t, open(t, dir, 4), append(items, extra), FillOptions{}), 2, 38,
		0, 0)
}

func TestDuplicatesAndBadFiles(t *testing.T) {
	items := photos(t, 10)
	write(t, items[3].File, "photo 1")
	write(t, items[4].File, "bad one")
	write(t, items[5].File, "bad one")
	write(t, items[6].File, "")
	write(t, items[7].File, "panic")
	if err := os.Remove(items[8].File); err != nil {
		t.Fatal(err)
	}
	c := open(t, t.TempDir(), 4)
	r := fill(t, c, items, FillOptions{Batch: 3})
	counts(t, "mixed", r, 4, 0, 1, 5)
	for i, want := range []string{"unsupported: no picture", "unsupported: no picture", "empty: the file is empty",
		"unreadable: the decoder failed: index out of range",
		map[bool]string{true: "unreadable: no such file", false: "unreadable: "}[runtime.GOOS != "windows"]} {
		if got := r.Skipped[i].Status + ": " + r.Skipped[i].Reason; !strings.HasPrefix(got, want) ||
			r.Skipped[i].Path != items[4+i].Path {
			t.Errorf("skipped %d: %s %s, want %s %s", i, r.Skipped[i].Path, got, items[4+i].Path, want)
		}
	}
	_, ok := c.Rows(items)
	if want := []bool{true, true, true, true, false, false, false, false, false, true}; !slices.Equal(ok, want) {
		t.Errorf("rows %v, want %v", ok, want)
	}
}

func TestCancelThenResume(t *testing.T) {
	items := photos(t, 200)
	whole := open(t, t.TempDir(), 4)
	fill(t, whole, items, FillOptions{})

	c := open(t, t.TempDir(), 4)
	ctx, cancel := context.WithCancel(t.Context())
	body := &fakeBody{features: 4, after: func(run int64) error {
		if run == 5 {
			cancel()
		}
		return nil
	}}
	r, err := c.Fill(ctx, items, body, fakeLoad, FillOptions{Batch: 10, ShardRows: 30})
	if !errors.Is(err, context.Canceled) || r.Computed != 50 {
		t.Fatalf("computed %d, %v; want 50 and a cancelled context", r.Computed, err)
	}
	counts(t, "resumed", fill(t, c, items, FillOptions{}), 150, 50, 0, 0)
	if !slices.Equal(content(t, c), content(t, whole)) {
		t.Error("resumed rows differ from those of one run")
	}
}

// judge is a fakeBody that makes nothing of some files.
type judge struct {
	*fakeBody
	limit float32
}

func (b judge) Wrong(row []float32) string {
	if row[0] > b.limit {
		return "too bright"
	}
	return ""
}

func TestRowsThatTheBodyCannotGive(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 40)
	whole := open(t, t.TempDir(), 8)
	fill(t, whole, items, FillOptions{})
	x, _ := whole.Rows(items)
	body := judge{&fakeBody{features: 8}, x[5*8]}
	want := 0
	for i := range items {
		if x[i*8] > body.limit {
			want++
		}
	}
	c := open(t, dir, 8)
	r, err := c.Fill(t.Context(), items, body, fakeLoad, FillOptions{Batch: 4, Runs: 3})
	if err != nil || want == 0 || want == len(items) {
		t.Fatal(want, err)
	}
	counts(t, "judged", r, len(items)-want, 0, 0, want)
	for _, b := range r.Skipped {
		if b.Status != "failed" || b.Reason != "too bright" {
			t.Errorf("%+v", b)
		}
	}
	y, ok := c.Rows(items)
	for i := range items {
		if ok[i] != (x[i*8] <= body.limit) || ok[i] && y[i*8] != x[i*8] {
			t.Errorf("row %d: %v %v, %v alone", i, ok[i], y[i*8], x[i*8])
		}
	}
}
