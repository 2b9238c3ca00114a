package activations

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"finetune/dataset"
)

// TestMain doubles as the program that the tests below start and kill:
// FINETUNE_TEST_FILL=DIR fills the cache DIR with the items on stdin, slowly.
func TestMain(m *testing.M) {
	dir := os.Getenv("FINETUNE_TEST_FILL")
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := fillProcess(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fillProcess(dir string) error {
	var items []dataset.Item
	if err := json.NewDecoder(os.Stdin).Decode(&items); err != nil {
		return err
	}
	c, err := Open(dir, testKey, 8)
	if err != nil {
		return err
	}
	body := &fakeBody{features: 8, delay: 2 * time.Millisecond}
	r, err := c.Fill(context.Background(), items, body, fakeLoad, FillOptions{Batch: 4, ShardRows: 12, Workers: 2})
	if err != nil {
		return err
	}
	fmt.Println(r.Computed, r.Reused, len(c.Warnings()))
	return c.Close()
}

// process prepares another process that fills dir.
func process(t *testing.T, dir string, items []dataset.Item) (cmd *exec.Cmd, stdout, stderr *strings.Builder) {
	t.Helper()
	text, err := json.Marshal(items)
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FINETUNE_TEST_FILL="+dir)
	stdout, stderr = new(strings.Builder), new(strings.Builder)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(string(text)), stdout, stderr
	return cmd, stdout, stderr
}

func shardFiles(dir string) int {
	names, _ := filepath.Glob(filepath.Join(dir, "*", "shard-*.arrow"))
	return len(names)
}

func TestKilledTenTimes(t *testing.T) {
	items := photos(t, 400)
	whole := open(t, t.TempDir(), 8)
	fill(t, whole, items, FillOptions{})
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		cmd, _, _ := process(t, dir, items)
		before := shardFiles(dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for wanted, end := rng.IntN(4),
			time.Now().Add(5*time.Second); shardFiles(dir) < before+wanted && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // until it has written 0 to 3 shards
		}
		time.Sleep(time.Duration(rng.IntN(12)) * time.Millisecond)
		_ = cmd.Process.Kill() // it may be done already
		_ = cmd.Wait()         // killed: an error by design
	}
	c := open(t, dir, 8)
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("a kill left damage: %v", w)
	}
	r := fill(t, c, items, FillOptions{})
	t.Logf("%d rows survived the kills", r.Reused)
	if r.Reused == 0 {
		t.Error("no killed run left a row: nothing is resumed")
	}
	if !slices.Equal(content(t, c), content(t, whole)) {
		t.Error("rows differ from those of one run")
	}
}

// Three processes with the same items: one computes, the others wait for it.
func TestProcessesWithEqualItemsComputeOnce(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 60)
	var wg sync.WaitGroup
	var mu sync.Mutex
	computed := 0
	for range 3 {
		cmd, stdout, stderr := process(t, dir, items)
		wg.Go(func() {
			var n, reused, warnings int
			if err := cmd.Run(); err != nil {
				t.Errorf("%v: %s", err, stderr)
			} else if _, err := fmt.Sscan(stdout.String(), &n, &reused, &warnings); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			computed += n
		})
	}
	wg.Wait()
	if computed != len(items) {
		t.Errorf("computed %d rows for %d files", computed, len(items))
	}
	counts(t, "afterwards", fill(t, open(t, dir, 8), items, FillOptions{}), 0, len(items), 0, 0)
}

// Overlapping parts at once, in one process and under the race detector.
func TestOverlappingFillsAtOnce(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 300)
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			c, err := Open(dir, testKey, 8)
			if err != nil {
				t.Error(err)
				return
			}
			body := &fakeBody{features: 8, delay: time.Millisecond}
			if _, err := c.Fill(t.Context(), items[part*50:part*50+150], body, fakeLoad,
				FillOptions{Batch: 8, ShardRows: 5, Workers: 2}); err != nil {
				t.Error(err)
			}
			if w := c.Warnings(); len(w) > 0 {
				t.Error(w)
			}
			if _, ok := c.Rows(items[part*50:][:150]); slices.Contains(ok, false) {
				t.Error("a row is missing")
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	counts(t, "afterwards", fill(t, open(t, dir, 8), items, FillOptions{}), 0, 300, 0, 0)
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	dir, items := t.TempDir(), photos(t, 8)
	started, finish := make(chan bool), make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		body := &fakeBody{features: 8, after: func(int64) error { close(started); <-finish; return nil }}
		if _, err := open(t, dir, 8).Fill(t.Context(), items, body, fakeLoad, FillOptions{}); err != nil {
			t.Error(err)
		}
	})
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var warned string
	r, err := open(t, dir, 8).Fill(ctx, items, &fakeBody{features: 8}, fakeLoad,
		FillOptions{Warn: func(s string) { warned = s }})
	if err != context.DeadlineExceeded || r.Computed != 0 || !strings.Contains(warned, "waiting") {
		t.Errorf("computed %d, %v, warned %q; want to wait until the deadline", r.Computed, err, warned)
	}
	if locks, _ := filepath.Glob(filepath.Join(dir, "*", "lock-*")); len(locks) != 1 {
		t.Errorf("locks %v; want that of the first, which still computes", locks)
	}
	close(finish)
	wg.Wait()
}

// A Fill that was cancelled has ended: no photograph is decoded after it has returned.
func TestNothingIsDecodedAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var decoding atomic.Int64
	load := func([]float32, []byte, dataset.Item) error {
		decoding.Add(1)
		defer decoding.Add(-1)
		cancel()
		time.Sleep(50 * time.Millisecond)
		return nil
	}
	_, err := open(t, t.TempDir(), 8).Fill(ctx, photos(t, 60), &fakeBody{features: 8}, load,
		FillOptions{Batch: 100, Workers: 4})
	if n := decoding.Load(); n != 0 || err != context.Canceled {
		t.Errorf("%v; %d photographs are still being decoded", err, n)
	}
}

// A resumed run is one whose folder holds any part of the shards.
func TestAnySubsetOfShardsResumes(t *testing.T) {
	items := photos(t, 96)
	whole := open(t, t.TempDir(), 8)
	fill(t, whole, items, FillOptions{Batch: 8, ShardRows: 8}) // 12 shards
	names, err := shardNames(whole.Dir())
	if err != nil || len(names) != 12 {
		t.Fatal(names, err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 5 {
		dir := t.TempDir()
		kept := 0
		for _, name := range names {
			if rng.IntN(2) == 0 {
				continue
			}
			kept++
			data, err := os.ReadFile(filepath.Join(whole.Dir(), name))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, filepath.Base(whole.Dir()), name), string(data))
		}
		c := open(t, dir, 8)
		counts(t, "resumed", fill(t, c, items, FillOptions{}), 96-8*kept, 8*kept, 0, 0)
		if !slices.Equal(content(t, c), content(t, whole)) {
			t.Error("rows differ from those of one run")
		}
	}
}
