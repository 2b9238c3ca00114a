package activations

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"finetune/dataset"
)

// BenchmarkOpenAndGather is what a second run does before it trains: 25,000
// rows of 1024 features, checked, found and copied side by side.
func BenchmarkOpenAndGather(b *testing.B) {
	const n, features = 25000, 1024
	dir := b.TempDir()
	c := open(b, dir, features)
	items := make([]dataset.Item, n)
	out := &rows{}
	row := make([]float32, features)
	for i := range items {
		items[i] = dataset.Item{File: fmt.Sprint(i)}
		d := Digest{byte(i), byte(i >> 8)}
		row[0] = float32(i)
		out.add(fmt.Sprintf("train/a/%d.jpg", i), "a", d, row)
		if len(out.paths) == c.shardRows() || i == n-1 {
			if err := c.save(out); err != nil {
				b.Fatal(err)
			}
			out.reset()
		}
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			again := open(b, dir, features)
			if again.Len() != n {
				b.Fatal(again.Len())
			}
			_ = again.Close()
		}
	})
	b.Run("gather", func(b *testing.B) {
		for i := range items {
			c.remember(items[i].File, Digest{byte(i), byte(i >> 8)})
		}
		for b.Loop() {
			if x, ok := c.Rows(items); !ok[n-1] || x[(n-1)*features] != n-1 {
				b.Fatal("wrong row")
			}
		}
	})
}

// BenchmarkFillNothingToDo hashes 400 photographs of 120 kB, all of them cached.
func BenchmarkFillNothingToDo(b *testing.B) {
	dir := b.TempDir()
	items := make([]dataset.Item, 400)
	for i := range items {
		items[i].File = filepath.Join(dir, fmt.Sprint(i))
		write(b, items[i].File, fmt.Sprintf("%0120000d", i))
	}
	c := open(b, b.TempDir(), 8)
	fill(b, c, items, FillOptions{})
	for b.Loop() {
		if r := fill(b, c, items, FillOptions{}); r.Reused != 400 {
			b.Fatal(r)
		}
	}
}

// BenchmarkOverlap: two workers decode in 2 ms an image, the body takes 1 ms an
// image; done one after the other 2 ms an image in all, overlapped a little over 1 ms.
func BenchmarkOverlap(b *testing.B) {
	items := photos(b, 512)
	load := func(dst []float32, data []byte, it dataset.Item) error {
		time.Sleep(2 * time.Millisecond)
		return fakeLoad(dst, data, it)
	}
	for b.Loop() {
		body := &fakeBody{features: 8, delay: 32 * time.Millisecond}
		if _, err := open(b, b.TempDir(), 8).Fill(b.Context(), items, body, load,
			FillOptions{Batch: 32, Workers: 2}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(512*b.N), "ms/image")
}
