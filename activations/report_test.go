package activations

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"finetune/dataset"
	"finetune/internal/parallel"
)

// What FillOptions say of their zero values.
func TestDefaults(t *testing.T) {
	items := photos(t, 100)
	var largest, at, most, images atomic.Int64
	body := bodyFunc(func(x []float32, n int, features []float32) error {
		largest.Store(max(largest.Load(), int64(n)))
		images.Add(int64(n))
		most.Store(max(most.Load(), at.Add(1)))
		time.Sleep(5 * time.Millisecond)
		at.Add(-1)
		return (&fakeBody{features: 8}).Run(t.Context(), x, n, features)
	})
	c := open(t, t.TempDir(), 8)
	if _, err := c.Fill(t.Context(), items, body, fakeLoad, FillOptions{}); err != nil {
		t.Fatal(err)
	}
	if largest.Load() != 32 || most.Load() != 1 || images.Load() != 100 || len(shardsIn(t, c)) != 1 {
		t.Errorf("batches of %d, %d runs at once, %d images, %d shards", largest.Load(), most.Load(), images.Load(),
			len(shardsIn(t, c)))
	}
	if o := newFiller(t.Context(), nil, 4, body, fakeLoad, FillOptions{}).o; o.FlushEvery != 3*time.Second ||
		o.Workers != runtime.GOMAXPROCS(0) {
		t.Errorf("%+v", o)
	}
}

// atOnce says how many calls of step go on at once, having waited for want of them.
func atOnce(want int64) (step func(), most *atomic.Int64) {
	var at atomic.Int64
	most = new(atomic.Int64)
	return func() {
		n := at.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			continue
		}
		for end := time.Now().Add(20 * time.Second); most.Load() < want && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(5 * time.Millisecond) // for one more than that, if there were one
		at.Add(-1)
	}, most
}

// Work is shared among the processors that Go may use, unless a number is given.
func TestWorkersByDefault(t *testing.T) {
	const cores = 3
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	for n, want := range map[int]int64{1: 1, 2: 2, 12: cores} {
		step, most := atOnce(want)
		if parallel.For(n, 0, func(int) { step() }); most.Load() != want {
			t.Errorf("%d pieces of work: %d at once, want %d", n, most.Load(), want)
		}
	}
	items := photos(t, 12)
	for workers, want := range map[int]int64{0: cores, 1: 1, 2: 2} {
		step, most := atOnce(want)
		load := func(dst []float32, data []byte, it dataset.Item) error {
			step()
			return fakeLoad(dst, data, it)
		}
		body := &fakeBody{features: 8, after: func(int64) error { return nil }}
		options := FillOptions{Workers: workers, Batch: 1, Runs: 8}
		r, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, body, load, options)
		if err != nil || most.Load() != want {
			t.Errorf("%d workers: %d at once, want %d; %v", workers, most.Load(), want, err)
		}
		if body.runs.Load() != 12 || r.Computed != 12 {
			t.Errorf("12 images by one are %d runs, %+v", body.runs.Load(), r)
		}
	}
	if n := runtime.GOMAXPROCS(0); n != cores {
		t.Errorf("Go may use %d processors now", n)
	}
}

// The time of the body is that in which it runs, not that in which it waits.
func TestTimeOfAnIdleBody(t *testing.T) {
	slow := func(dst []float32, data []byte, it dataset.Item) error {
		time.Sleep(20 * time.Millisecond)
		return fakeLoad(dst, data, it)
	}
	r, err := open(t, t.TempDir(), 8).Fill(t.Context(), photos(t, 12), &fakeBody{features: 8}, slow,
		FillOptions{Workers: 1, Batch: 1})
	if err != nil || r.BodySeconds <= 0 || r.BodySeconds > r.Seconds/3 {
		t.Errorf("the body ran %g of %g s, %v", r.BodySeconds, r.Seconds, err)
	}
}

// A device that names no batch takes that of the options; one that cannot say
// how it is fed ends the Fill.
func TestFeedOfADevice(t *testing.T) {
	items := photos(t, 10)
	d := &fakeDevice{fakeBody: fakeBody{features: 8}}
	sizes := map[int]int{}
	d.run = func(_ []float32, n int) { sizes[n]++ }
	if _, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, d, fakeLoad, FillOptions{Batch: 4}); err != nil ||
		sizes[4] != 2 || sizes[2] != 1 {
		t.Errorf("batches %v, %v", sizes, err)
	}
	d.batch, sizes = 1, map[int]int{}
	if _, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, d, fakeLoad, FillOptions{Batch: 4}); err != nil ||
		sizes[1] != 10 {
		t.Errorf("batches %v of a device that takes one, %v", sizes, err)
	}
	lost := errors.New("no such device")
	if r, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, unfed{d, lost}, fakeLoad, FillOptions{}); err != lost ||
		r.Computed != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	c := open(t, t.TempDir(), 8)
	fill(t, c, items, FillOptions{})
	if _, err := c.Fill(t.Context(), items, unfed{d, lost}, fakeLoad, FillOptions{}); err != nil {
		t.Errorf("asked without need: %v", err)
	}
}

type unfed struct {
	*fakeDevice
	err error
}

func (d unfed) Feed(context.Context) (Feed, error) { return Feed{}, d.err }

// A body that panics is a fault that is told, and the rows before it stay.
func TestBodyThatPanics(t *testing.T) {
	items := photos(t, 12)
	c := open(t, t.TempDir(), 8)
	body := &fakeBody{features: 8, after: func(run int64) error {
		if run == 3 {
			panic("session gone")
		}
		return nil
	}}
	if r, err := c.Fill(t.Context(), items, body, fakeLoad, FillOptions{Batch: 4}); err == nil ||
		!strings.Contains(err.Error(), "session gone") || r.Computed != 8 {
		t.Errorf("%+v, %v", r, err)
	}
	counts(t, "afterwards", fill(t, c, items, FillOptions{}), 4, 8, 0, 0)
}

// Times add up: the body's is at least what it slept, the decoders' what they
// computed, and the rate counts the images after the first batch.
func TestTimesOfTheReport(t *testing.T) {
	items := photos(t, 40)
	spin := func(dst []float32, data []byte, it dataset.Item) error {
		for start := threadTime(); threadTime()-start < 2*time.Millisecond; {
			_ = start
		}
		return fakeLoad(dst, data, it)
	}
	body := &fakeBody{features: 8, delay: 20 * time.Millisecond}
	start := time.Now()
	r, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, body, spin, FillOptions{Batch: 4})
	wall := time.Since(start).Seconds()
	if err != nil {
		t.Fatal(err)
	}
	if r.BodySeconds < 0.2 || r.BodySeconds > r.Seconds || r.Seconds > wall || r.Seconds < 0.2 {
		t.Errorf("the body ran %g of %g s; %g outside", r.BodySeconds, r.Seconds, wall)
	}
	if r.DecodeSeconds < 0.08 || r.DecodeSeconds > 60 {
		t.Errorf("%g s of decoding", r.DecodeSeconds)
	}
	if least, most := 36/r.Seconds, 4*4/0.02; r.Steady < least || r.Steady > most {
		t.Errorf("%g images a second, want %g to %g", r.Steady, least, most)
	}
	two := FillOptions{Batch: 1, Workers: 1} // of which the second takes what the body sleeps
	if r, err := open(t, t.TempDir(), 8).Fill(t.Context(), items[:2], body, fakeLoad, two); err != nil || r.Steady > 50 {
		t.Errorf("%g images a second, which each take 20 ms, %v", r.Steady, err)
	}
	if r := fill(t, open(t, t.TempDir(), 8), items, FillOptions{Batch: 40}); r.Steady != 0 {
		t.Errorf("a rate of %g after one batch", r.Steady)
	}
}

// Progress is told ten times a second at most, and often enough to be seen.
func TestProgressIsPaced(t *testing.T) {
	items := photos(t, 60)
	var calls [][3]int
	body := &fakeBody{features: 8, delay: 40 * time.Millisecond}
	r, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, body, fakeLoad,
		FillOptions{Batch: 4, Progress: func(done, total, computed int) {
			calls = append(calls, [3]int{done, total, computed})
		}})
	if err != nil {
		t.Fatal(err)
	}
	if most := int(10*r.Seconds) + 2; len(calls) < 4 || len(calls) > most {
		t.Errorf("%d calls in %g s", len(calls), r.Seconds)
	}
	for i, c := range calls {
		if c[1] != 60 || c[0] != c[2] || c[0] > 60 || i > 0 && c[0] < calls[i-1][0] {
			t.Errorf("calls %v", calls)
		}
	}
	if calls[0][0] >= 60 || calls[len(calls)-1][0] != 60 {
		t.Errorf("calls %v", calls)
	}
}

// A timer cuts shards as their number of rows does, so that a kill loses little.
func TestShardsByTime(t *testing.T) {
	items := photos(t, 32)
	for every, want := range map[time.Duration]int{time.Nanosecond: 4, time.Hour: 1} {
		c := open(t, t.TempDir(), 8)
		fill(t, c, items, FillOptions{Batch: 8, FlushEvery: every})
		if n := len(shardsIn(t, c)); n != want {
			t.Errorf("every %v: %d shards, want %d", every, n, want)
		}
	}
	for rows, want := range map[int]int{1: 4, 8: 4, 9: 2, 16: 2, 32: 1} { // after a batch, once there are as many
		c := open(t, t.TempDir(), 8)
		fill(t, c, items, FillOptions{Batch: 8, ShardRows: rows, FlushEvery: time.Hour})
		if n := len(shardsIn(t, c)); n != want {
			t.Errorf("%d shards of %d rows and more, want %d", n, rows, want)
		}
	}
	for i := range 8 { // a batch without rows makes no shard, one with a row does
		write(t, items[i].File, fmt.Sprint("bad ", i))
	}
	for batch, want := range map[int]int{8: 1, 1: 8} {
		c := open(t, t.TempDir(), 8)
		fill(t, c, items[:16], FillOptions{Batch: batch, FlushEvery: time.Nanosecond})
		if names := shardsIn(t, c); len(names) != want || len(c.shards) != want {
			t.Errorf("8 rows after 8 bad files, by %d: %d shards, want %d", batch, len(names), want)
		}
	}
}

// When the caller has seen enough, no more is decoded than the batches held.
func TestDecodingEndsWithTheStream(t *testing.T) {
	items := photos(t, 300)
	var decoded atomic.Int64
	load := func(dst []float32, data []byte, it dataset.Item) error {
		decoded.Add(1)
		return fakeLoad(dst, data, it)
	}
	stop := errors.New("enough")
	_, err := Stream(t.Context(), items, 4, &fakeBody{features: 8}, load, FillOptions{Workers: 2, Batch: 4},
		func(i int, _ []float32, _ *Bad) error {
			if i == 3 {
				return stop
			}
			return nil
		})
	if err != stop || decoded.Load() > 3*4 {
		t.Errorf("%d images decoded for 4 rows, %v", decoded.Load(), err)
	}
}
