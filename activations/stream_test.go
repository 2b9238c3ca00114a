package activations

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"finetune/dataset"
	"finetune/internal/reading"
)

func TestStreamTellsEveryItemInOrder(t *testing.T) {
	items := photos(t, 50)
	write(t, items[3].File, "photo 1") // a duplicate still has a row of its own
	write(t, items[4].File, "bad one")
	write(t, items[20].File, "")
	if err := os.Remove(items[49].File); err != nil {
		t.Fatal(err)
	}
	c := open(t, t.TempDir(), 8)
	fill(t, c, items, FillOptions{})
	x, ok := c.Rows(items)

	next := 0
	body := &fakeBody{features: 8}
	r, err := Stream(t.Context(), items, testKey.Size, body, fakeLoad, FillOptions{Batch: 7, Workers: 3},
		func(i int, features []float32, bad *Bad) error {
			if i != next {
				t.Fatalf("item %d after %d", i, next-1)
			}
			next++
			switch {
			case bad != nil && (ok[i] || bad.Path != items[i].Path):
				t.Errorf("item %d: %+v, Fill has a row", i, bad)
			case bad == nil && !slices.Equal(features, x[i*8:i*8+8]):
				t.Errorf("item %d: %v, Fill gives %v", i, features, x[i*8:i*8+8])
			}
			return nil
		})
	if err != nil || next != 50 || r.Computed != 47 {
		t.Errorf("%d items, %d computed, %v", next, r.Computed, err)
	}
	stop, told := errors.New("disk full"), 0
	_, err = Stream(t.Context(), items, testKey.Size, body, fakeLoad, FillOptions{Batch: 2},
		func(i int, _ []float32, _ *Bad) error {
			if told++; i == 9 {
				return stop
			}
			return nil
		})
	if err != stop || told != 10 {
		t.Errorf("error %v, want that of emit; %d items are told, want the 10 up to it", err, told)
	}
}

func TestRowsDoNotDependOnWorkersOrBatch(t *testing.T) {
	items := photos(t, 120)
	write(t, items[50].File, "photo 2")
	write(t, items[51].File, "bad")
	var want []string
	for _, o := range []FillOptions{{Workers: 1, Batch: 1}, {Workers: 8, Batch: 16}, {Workers: 3, Batch: 200},
		{Workers: 4, Batch: 4, Runs: 5}} {
		c := open(t, t.TempDir(), 8)
		fill(t, c, items, o)
		if got := content(t, c); want == nil {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%+v gives other rows", o)
		}
	}
	var names []string
	for _, workers := range []int{1, 8} { // and the files are the same where no timer cuts them
		c := open(t, t.TempDir(), 8)
		fill(t, c, items, FillOptions{Workers: workers, Runs: workers, Batch: 8, ShardRows: 24, FlushEvery: time.Hour})
		got, err := shardNames(c.Dir())
		if err != nil {
			t.Fatal(err)
		}
		if names != nil && !slices.Equal(got, names) {
			t.Errorf("shards %v and %v", got, names)
		}
		names = got
	}
}

// While the body is stuck, images are decoded until the batches are full: the one in the body, one that waits, one
// more.
func TestDecodingWaitsForTheBody(t *testing.T) {
	items := photos(t, 200)
	var decoded atomic.Int64
	load := func(dst []float32, data []byte, it dataset.Item) error {
		decoded.Add(1)
		return fakeLoad(dst, data, it)
	}
	most := int64(0)
	body := &fakeBody{features: 8}
	body.after = func(run int64) error {
		for end := time.Now().Add(20 * time.Second); run == 1 && decoded.Load() < 12; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%d images decoded while the body computes, want 12", decoded.Load())
				break
			}
		}
		time.Sleep(20 * time.Millisecond)
		most = max(most, decoded.Load()-4*(run-1))
		return nil
	}
	if _, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, body, load,
		FillOptions{Batch: 4, Workers: 4}); err != nil {
		t.Fatal(err)
	}
	if most > 3*4 {
		t.Errorf("%d images decoded and not yet through the body, want at most 12", most)
	}
}

func TestBodyErrorKeepsWhatIsDone(t *testing.T) {
	items := photos(t, 40)
	broken := errors.New("session lost")
	body := &fakeBody{features: 8, after: func(run int64) error {
		if run == 3 {
			return broken
		}
		return nil
	}}
	c := open(t, t.TempDir(), 8)
	if r, err := c.Fill(t.Context(), items, body, fakeLoad, FillOptions{Batch: 10}); !errors.Is(err, broken) ||
		r.Computed != 20 {
		t.Errorf("computed %d, %v", r.Computed, err)
	}
	counts(t, "afterwards", fill(t, c, items, FillOptions{}), 20, 20, 0, 0)
}

// Runs that end in another order than they began are told in theirs, and an
// error of the second leaves the rows of the first.
func TestRunsAtOnce(t *testing.T) {
	items := photos(t, 60)
	var at, most atomic.Int64
	broken := errors.New("session lost")
	body := bodyFunc(func(images []float32, n int, features []float32) error {
		most.Store(max(most.Load(), at.Add(1)))
		defer at.Add(-1)
		time.Sleep(time.Duration(int(images[0])%3) * 2 * time.Millisecond)
		return (&fakeBody{features: 8}).Run(t.Context(), images, n, features)
	})
	next := 0
	r, err := Stream(t.Context(), items, testKey.Size, body, fakeLoad, FillOptions{Batch: 4, Runs: 3},
		func(i int, _ []float32, _ *Bad) error {
			if i != next {
				t.Fatalf("item %d after %d", i, next-1)
			}
			next++
			return nil
		})
	if err != nil || next != 60 || r.Computed != 60 || most.Load() < 2 || most.Load() > 3 {
		t.Errorf("%d items, %d computed, %d at once, %v", next, r.Computed, most.Load(), err)
	}
	if r.BodySeconds <= 0 || r.BodySeconds > r.Seconds {
		t.Errorf("the body ran for %g of %g s", r.BodySeconds, r.Seconds)
	}

	second := make(chan struct{})
	var begun atomic.Int64
	failing := bodyFunc(func(images []float32, n int, features []float32) error {
		if begun.Add(1) == 2 {
			close(second)
			return broken
		}
		<-second // the first run ends after the second has failed
		return (&fakeBody{features: 8}).Run(context.Background(), images, n, features)
	})
	c := open(t, t.TempDir(), 8)
	if r, err := c.Fill(t.Context(), items, failing, fakeLoad, FillOptions{Batch: 4, Runs: 2}); !errors.Is(err, broken) ||
		r.Computed > 4 {
		t.Errorf("computed %d, %v", r.Computed, err)
	}
	if r := fill(t, c, items, FillOptions{}); r.Computed+r.Reused != 60 {
		t.Errorf("afterwards %+v", r)
	}
}

type bodyFunc func(images []float32, n int, features []float32) error

func (bodyFunc) Features() int { return 8 }
func (f bodyFunc) Run(_ context.Context, images []float32, n int, features []float32) error {
	return f(images, n, features)
}

func TestLargeFileIsReadTwice(t *testing.T) {
	items := photos(t, 2)
	if err := os.Truncate(items[0].File, keepBuffer+1); err != nil { // sparse
		t.Fatal(err)
	}
	if err := os.Truncate(items[1].File, reading.MaxPhoto+1); err != nil {
		t.Fatal(err)
	}
	c := open(t, t.TempDir(), 8)
	r := fill(t, c, items, FillOptions{})
	counts(t, "large", r, 1, 0, 0, 1)
	if r.Skipped[0].Status != "too_large" {
		t.Errorf("%+v", r.Skipped)
	}
	counts(t, "again", fill(t, c, items, FillOptions{}), 0, 1, 0, 1)
}
