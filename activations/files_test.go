package activations

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"finetune/dataset"
	"finetune/internal/reading"
)

// What is no photograph is told by its size and kind, before it is read.
func TestFilesThatAreNoPhotographs(t *testing.T) {
	items := photos(t, 6)
	for i, size := range []int64{0, 257 << 20, 300 << 20} {
		if err := os.Truncate(items[i].File, size); err != nil { // sparse
			t.Fatal(err)
		}
	}
	if err := os.Remove(items[3].File); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(items[3].File, 0o777); err != nil {
		t.Fatal(err)
	}
	want := []string{"empty: the file is empty", "too_large: 257 MB, more than 256 MB",
		"too_large: 300 MB, more than 256 MB", "unreadable: not a plain file"}
	r := fill(t, open(t, t.TempDir(), 8), items, FillOptions{})
	counts(t, "no photographs", r, 2, 0, 0, len(want))
	for i, b := range r.Skipped {
		if b.Status+": "+b.Reason != want[i] || b.File != items[i].File {
			t.Errorf("%+v, want %s", b, want[i])
		}
	}
	for size, ok := range map[int64]bool{1: true, 256 << 20: true, 256<<20 + 1: false} {
		if err := os.Truncate(items[0].File, size); err != nil {
			t.Fatal(err)
		}
		file, n, err := openPhoto(items[0].File)
		if (err == nil) != ok || ok && n != size {
			t.Errorf("%d bytes: %d, %v", size, n, err)
		}
		if file != nil {
			file.Close()
		}
	}
}

// A large file is read once to know it and once to decode it: between them it may change.
func TestLargeFileThatChanges(t *testing.T) {
	for want, change := range map[string]func(file string) error{
		"unreadable: changed while it was read": func(file string) error { return os.Truncate(file, keepBuffer+2) },
		"empty: the file is empty":              func(file string) error { return os.Truncate(file, 0) },
	} {
		items := photos(t, 2)
		if err := os.Truncate(items[0].File, keepBuffer+1); err != nil {
			t.Fatal(err)
		}
		before, tries := reading.Before, 0
		reading.Before = func(path string) error {
			if path == items[0].File {
				if tries++; tries == 2 {
					return change(path)
				}
			}
			return nil
		}
		r := fill(t, open(t, t.TempDir(), 8), items, FillOptions{Workers: 1})
		reading.Before = before
		if counts(t, want, r, 1, 0, 0, 1); len(r.Skipped) == 1 && r.Skipped[0].Status+": "+r.Skipped[0].Reason != want {
			t.Errorf("%+v, want %s", r.Skipped[0], want)
		}
	}
}

// Of the files that wait to be decoded only small ones are in memory: a file of
// more than 16 MB is read again for it.
func TestOnlyLargeFilesAreReadTwice(t *testing.T) {
	for size, want := range map[int64]int64{1: 1, 16 << 20: 1, 16<<20 + 1: 2} {
		items := photos(t, 1)
		if err := os.Truncate(items[0].File, size); err != nil { // sparse
			t.Fatal(err)
		}
		var reads atomic.Int64
		before := reading.Before
		reading.Before = func(string) error { reads.Add(1); return nil }
		r := fill(t, open(t, t.TempDir(), 8), items, FillOptions{})
		reading.Before = before
		if counts(t, "one file", r, 1, 0, 0, 0); reads.Load() != want {
			t.Errorf("a file of %d bytes was read %d times, want %d", size, reads.Load(), want)
		}
	}
}

// While the body is stuck, files are read ahead of the decoded images up to a
// bound that the workers set, whatever the number of items: two a worker and four.
func TestFilesInMemoryAreBounded(t *testing.T) {
	items := photos(t, 300)
	var reads atomic.Int64
	before := reading.Before
	reading.Before = func(string) error { reads.Add(1); return nil }
	defer func() { reading.Before = before }()
	for _, workers := range []int{1, 6} {
		reads.Store(0)
		want := int64(3*4 + 2*workers + 4) // three batches of images, and the files
		body := &fakeBody{features: 8}
		body.after = func(run int64) error {
			for end := time.Now().Add(20 * time.Second); run == 1 && reads.Load() < want && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if run == 1 {
				time.Sleep(30 * time.Millisecond) // for one more than that, if there were one
				if n := reads.Load(); n != want {
					t.Errorf("%d workers: %d files were read while the first batch is in the body, want %d", workers, n, want)
				}
			}
			return nil
		}
		if _, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, body, fakeLoad,
			FillOptions{Batch: 4, Workers: workers}); err != nil {
			t.Fatal(err)
		}
	}
}

// An image that failed is zero to the body, whatever the decoder left, and so
// are those that pad a batch.
func TestBodySeesNoLeftovers(t *testing.T) {
	items := photos(t, 21)
	load := func(dst []float32, data []byte, it dataset.Item) error {
		for i := range dst {
			dst[i] = 7
		}
		if string(data) == "bad" {
			return errors.New("half a picture")
		}
		return nil
	}
	for _, i := range []int{2, 9, 10, 20} {
		write(t, items[i].File, "bad")
	}
	if err := os.Remove(items[17].File); err != nil {
		t.Fatal(err)
	}
	at := 0
	d := &fakeDevice{batch: 8, fakeBody: fakeBody{features: 4}}
	d.run = func(images []float32, n int) {
		for i := range n {
			want := float32(7)
			if k := at + i; k >= 21 || k == 17 || k == 2 || k == 9 || k == 10 || k == 20 {
				want = 0
			}
			for _, v := range images[i*48 : (i+1)*48] {
				if v != want {
					t.Fatalf("image %d has %v, want %v", at+i, v, want)
				}
			}
		}
		at += n
	}
	var told []int
	var calls [][3]int
	r, err := Stream(t.Context(), items, 4, d, load, FillOptions{Workers: 2, Progress: func(done, total, computed int) {
		calls = append(calls, [3]int{done, total, computed})
	}}, func(i int, features []float32, bad *Bad) error {
		if bad != nil {
			told = append(told, i)
		} else if len(features) != 4 || features[0] != 7*48 || cap(features) != 4 {
			t.Errorf("item %d: %v", i, features)
		}
		return nil
	})
	if err != nil || fmt.Sprint(told) != "[2 9 10 17 20]" || at != 24 || r.Computed != 16 || r.Seconds <= 0 {
		t.Errorf("%v, %d images, bad %v, %+v", err, at, told, r)
	}
	if last := calls[len(calls)-1]; last != [3]int{21, 21, 16} {
		t.Errorf("last progress %v", last)
	}
}

// A batch without a good image does not reach the body.
func TestNothingToCompute(t *testing.T) {
	items := photos(t, 3)
	for _, it := range items {
		write(t, it.File, "bad "+it.Path)
	}
	body := &fakeBody{features: 8}
	r, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, body, fakeLoad, FillOptions{})
	if counts(t, "bad files", r, 0, 0, 0, 3); err != nil || body.runs.Load() != 0 {
		t.Errorf("%d runs, %v", body.runs.Load(), err)
	}
}

// The name of what panicked is told; the status of a file is its own error's,
// not what the body makes of the zeros in its place.
func TestWhatIsWrongWithAFile(t *testing.T) {
	items := photos(t, 4)
	write(t, items[1].File, "panic")
	write(t, items[2].File, "bad")
	r, err := open(t, t.TempDir(), 8).Fill(t.Context(), items, judge{&fakeBody{features: 8}, -1}, fakeLoad, FillOptions{})
	if err != nil || len(r.Skipped) != 4 {
		t.Fatal(r, err)
	}
	for i, want := range []string{"failed: too bright", "unreadable: the decoder failed: index out of range (",
		"unsupported: no picture", "failed: too bright"} {
		if got := r.Skipped[i].Status + ": " + r.Skipped[i].Reason; !strings.HasPrefix(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if !strings.Contains(r.Skipped[1].Reason, "fakeLoad") {
		t.Errorf("%s does not say where", r.Skipped[1].Reason)
	}
	r = fill(t, open(t, t.TempDir(), 8), items,
		FillOptions{Status: func(err error) (string, string) { return "of mine", err.Error() + "!" }})
	if len(r.Skipped) != 2 || r.Skipped[1].Status != "of mine" || r.Skipped[1].Reason != "no picture!" {
		t.Errorf("%+v", r.Skipped)
	}
}

func TestFillRefuses(t *testing.T) {
	items := photos(t, 1)
	c := open(t, t.TempDir(), 8)
	if _, err := c.Fill(t.Context(), items, &fakeBody{features: 9}, fakeLoad, FillOptions{}); err == nil ||
		!strings.Contains(err.Error(), "9 features, the cache was opened for 8") {
		t.Errorf("%v", err)
	}
	for size, ok := range map[int]bool{-1: false, 0: false, 1: true} {
		key := testKey
		key.Size = size
		c, err := Open(t.TempDir(), key, 8)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Fill(t.Context(), items, &fakeBody{features: 8}, fakeLoad, FillOptions{}); (err == nil) != ok {
			t.Errorf("size %d: %v", size, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	r := fill(t, c, nil, FillOptions{})
	if counts(t, "nothing", r, 0, 0, 0, 0); r.Seconds <= 0 {
		t.Errorf("%+v", r)
	}
}

// A lock that is a link is left alone, and so is what it leads to: the rows are
// computed without it, and nothing is merged.
func TestLocksThatAreLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	dir, items := t.TempDir(), photos(t, 3)
	c := sixteen(t, dir)
	outside := filepath.Join(t.TempDir(), "made")
	name := ""
	body := &fakeBody{features: 8, after: func(int64) error { // what its lock is called
		locks, _ := filepath.Glob(filepath.Join(c.Dir(), "lock-*"))
		name = strings.Join(locks, " ")
		return errors.New("enough")
	}}
	if _, err := c.Fill(t.Context(), items, body, fakeLoad, FillOptions{}); err == nil || name == "" {
		t.Fatalf("locks %q, %v", name, err)
	}
	for _, link := range []string{name, filepath.Join(c.Dir(), "lock-compact")} {
		if err := os.Symlink(outside, link); err != nil {
			t.Fatal(err)
		}
	}
	counts(t, "with links for locks", fill(t, c, items, FillOptions{}), 3, 0, 0, 0)
	if _, err := os.Lstat(outside); !errors.Is(err, os.ErrNotExist) || len(shardsIn(t, c)) != 17 {
		t.Errorf("a file where the link leads: %v; %d shards", err, len(shardsIn(t, c)))
	}
}

// Two processes with other items do not wait for each other, and no lock stays.
func TestOtherItemsDoNotWait(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 8)
	started, finish := make(chan bool), make(chan bool)
	ended := make(chan error, 1)
	first := open(t, dir, 8)
	go func() {
		body := &fakeBody{features: 8, after: func(int64) error { close(started); <-finish; return nil }}
		_, err := first.Fill(context.Background(), items[:4], body, fakeLoad, FillOptions{})
		ended <- err
	}()
	<-started
	locks, _ := filepath.Glob(filepath.Join(first.Dir(), "lock-*"))
	if len(locks) != 1 || !OwnFile(filepath.Base(locks[0])) {
		t.Errorf("locks %v", locks)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	warned := ""
	r, err := open(t, dir, 8).Fill(ctx, items[4:], &fakeBody{features: 8}, fakeLoad,
		FillOptions{Warn: func(s string) { warned = s }})
	if err != nil || r.Computed != 4 || warned != "" {
		t.Errorf("%+v, %v, warned %q", r, err, warned)
	}
	close(finish)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if locks, _ = filepath.Glob(filepath.Join(first.Dir(), "lock-*")); len(locks) > 0 {
		t.Errorf("locks stay: %v", locks)
	}
}
