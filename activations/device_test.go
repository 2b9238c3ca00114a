package activations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"finetune/dataset"
)

// fakeDevice is a fakeBody that is fed as a GPU is.
type fakeDevice struct {
	fakeBody
	batch     int
	asked     atomic.Int64
	held      atomic.Int64                  // pieces of memory
	failAfter int64                         // pieces
	run       func(images []float32, n int) // beside each Run
}

func (d *fakeDevice) Feed(context.Context) (Feed, error) {
	d.asked.Add(1)
	return Feed{Batch: d.batch, Memory: func(n int) ([]float32, func(), error) {
		if k := d.held.Add(1); d.failAfter > 0 && k > d.failAfter {
			d.held.Add(-1)
			return nil, nil, errors.New("no memory left")
		}
		return make([]float32, n), func() { d.held.Add(-1) }, nil
	}}, nil
}

func (d *fakeDevice) Run(ctx context.Context, images []float32, n int, features []float32) error {
	if d.run != nil {
		d.run(images, n)
	}
	return d.fakeBody.Run(ctx, images, n, features)
}

// TestDevice: what a device computes in its own memory and in full batches are
// the rows of any body, whatever ends the Fill, and all memory is given back.
func TestDevice(t *testing.T) {
	items := photos(t, 53)
	write(t, items[9].File, "bad one")
	plain := open(t, t.TempDir(), 4)
	fill(t, plain, items, FillOptions{})
	for _, runs := range []int{1, 3} {
		d := &fakeDevice{batch: 8, fakeBody: fakeBody{features: 4}}
		d.run = func(_ []float32, n int) {
			if n != 8 {
				t.Errorf("a run of %d images, not 8", n)
			}
		}
		c := open(t, t.TempDir(), 4)
		if _, err := c.Fill(t.Context(), items, d, fakeLoad, FillOptions{Workers: 3, Runs: runs}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(content(t, c), content(t, plain)) {
			t.Error("rows differ from those without a device")
		}
		if d.asked.Load() != 1 || d.held.Load() != 0 {
			t.Errorf("asked %d times how it is fed, %d pieces of memory kept", d.asked.Load(), d.held.Load())
		}
		if _, err := c.Fill(t.Context(), items, d, fakeLoad, FillOptions{}); err != nil || d.asked.Load() != 2 {
			t.Errorf("asked %d times, %v; the bad file alone is computed again", d.asked.Load(), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	for name, d := range map[string]*fakeDevice{
		"no memory":       {batch: 8, failAfter: 3},
		"a failing run":   {batch: 8, fakeBody: fakeBody{after: func(run int64) error { return errors.New("out of order") }}},
		"a cancelled one": {batch: 8, fakeBody: fakeBody{after: func(run int64) error { cancel(); return ctx.Err() }}},
	} {
		d.features = 4
		if _, err := open(t, t.TempDir(), 4).Fill(ctx, items, d, fakeLoad, FillOptions{Workers: 2, Runs: 2}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if d.held.Load() != 0 {
			t.Errorf("%s: %d pieces of memory kept", name, d.held.Load())
		}
	}
}

// TestFedWithoutPause: while a device computes, images are decoded up to the
// bound and no further, and as many runs go on as were asked for. Each run waits
// for that, so that the test ends in time or not at all.
func TestFedWithoutPause(t *testing.T) {
	const batch, runs, workers, n = 4, 2, 16, 160
	items := photos(t, n)
	var mu sync.Mutex
	change := sync.NewCond(&mu)
	decoded, running, most, done := 0, 0, 0, [n / batch]bool{}
	until := func(what string, ok func() bool) {
		begin := time.Now()
		late := time.AfterFunc(20*time.Second, change.Broadcast)
		defer late.Stop()
		for !ok() {
			if change.Wait(); time.Since(begin) > 20*time.Second {
				t.Errorf("%s: %d decoded, %d running", what, decoded, running)
				return
			}
		}
	}
	d := &fakeDevice{batch: batch, fakeBody: fakeBody{features: 4}}
	d.run = func(images []float32, _ int) {
		mu.Lock()
		defer mu.Unlock()
		running++
		most = max(most, running)
		change.Broadcast()
		first := int(images[0])
		until("the other run", func() bool { return most == runs })
		until("the next batch", func() bool { return decoded >= min(n, first+2*batch) })
		running--
		done[first/batch] = true
	}
	load := func(dst []float32, _ []byte, it dataset.Item) error {
		mu.Lock()
		defer mu.Unlock()
		at := slices.IndexFunc(items, func(i dataset.Item) bool { return i.Path == it.Path })
		dst[0] = float32(at)
		decoded++
		if oldest := slices.Index(done[:], false); decoded > (oldest+2*runs+1)*batch {
			t.Errorf("%d decoded before batch %d is through", decoded, oldest)
		}
		change.Broadcast()
		return nil
	}
	if r, err := open(t, t.TempDir(), 4).Fill(t.Context(), items, d, load,
		FillOptions{Workers: workers, Runs: runs}); err != nil || r.Computed != n {
		t.Errorf("%d computed, %v", r.Computed, err)
	}
	if most != runs {
		t.Errorf("%d runs at once, not %d", most, runs)
	}
}

// BenchmarkFeed is what the stages themselves cost an image, in processor time,
// with a device that takes none and a decoder that takes none.
func BenchmarkFeed(b *testing.B) {
	for _, workers := range []int{2, 16} {
		b.Run(fmt.Sprintf("%d workers", workers), func(b *testing.B) {
			items := photos(b, 4096)
			for b.Loop() {
				d := &fakeDevice{batch: 64, fakeBody: fakeBody{features: 1024}}
				if _, err := Stream(b.Context(), items, 4, d, fakeLoad, FillOptions{Workers: workers, Runs: 2},
					func(int, []float32, *Bad) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(4096*b.N), "µs/image")
		})
	}
}
