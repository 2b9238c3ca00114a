package activations

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gofrs/flock"

	"finetune/internal/durable"
)

// shardOf writes a shard of rows from..to-1 of a data set that exists nowhere;
// the features of a row are its number.
func shardOf(t *testing.T, c *Cache, from, to int) {
	t.Helper()
	r := &rows{}
	for i := from; i < to; i++ {
		x := make([]float32, c.Features())
		for k := range x {
			x[k] = float32(i)
		}
		r.add(fmt.Sprintf("a/%05d.jpg", i), "a", numbered(i), x)
	}
	if err := c.save(r); err != nil {
		t.Fatal(err)
	}
}

func numbered(i int) Digest { return sha256.Sum256(fmt.Append(nil, i)) }

// holdsRows wants the rows 0..n-1 of shardOf in c, and no others.
func holdsRows(t *testing.T, what string, c *Cache, n int) {
	t.Helper()
	if c.Len() != n {
		t.Errorf("%s: %d rows, want %d", what, c.Len(), n)
	}
	for i := range n {
		if row, ok := c.row(numbered(i)); !ok || len(row) != c.Features() || row[0] != float32(i) ||
			row[len(row)-1] != float32(i) {
			t.Fatalf("%s: row %d is %v", what, i, row)
		}
	}
}

func shardsIn(t *testing.T, c *Cache) []string {
	t.Helper()
	names, err := shardNames(c.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// No row is lost where the small shards make more than one: the first shard
// merged holds a part of the rows alone.
func TestCompactionIntoThreeShards(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 8)
	const each, shards = 300, 16
	for i := range shards {
		shardOf(t, c, i*each, (i+1)*each)
	}
	if err := c.compact(); err != nil {
		t.Fatal(err)
	}
	names := shardsIn(t, c)
	if len(names) != 3 || each*shards <= 2*c.shardRows() {
		t.Fatalf("%d shards of %d rows at most", len(names), c.shardRows())
	}
	if err := c.refresh(); err != nil || len(c.shards) != shards { // whose rows are those of the new ones
		t.Errorf("%d shards are in use, %v", len(c.shards), err)
	}
	holdsRows(t, "in use", c, each*shards)
	again := open(t, dir, 8)
	holdsRows(t, "opened again", again, each*shards)
	if w := again.Warnings(); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
	var counts []int
	for _, s := range again.shards {
		counts = append(counts, s.rows())
		if d := s.batches[0].digests; !slices.IsSortedFunc(d, func(a, b Digest) int { return slices.Compare(a[:], b[:]) }) {
			t.Errorf("the rows of %s are not sorted", s.name)
		}
	}
	if slices.Sort(counts); !slices.Equal(counts, []int{each*shards - 2*2048, 2048, 2048}) {
		t.Errorf("%v rows", counts)
	}
	if err := again.compact(); err != nil || !slices.Equal(shardsIn(t, again), names) {
		t.Errorf("merged shards were merged again: %v, %v", shardsIn(t, again), err)
	}
}

// Sixteen small shards are merged, fifteen are not; what is half full or more
// stays as it is, and long rows count as their bytes do.
func TestWhatIsSmall(t *testing.T) {
	for name, c := range map[string]struct{ features, small, rows, large, want int }{
		"fifteen":            {8, 15, 3, 0, 15},
		"sixteen":            {8, 16, 3, 0, 1},
		"fifteen and a half": {8, 15, 3, 1024, 16},
		"sixteen and a half": {8, 16, 3, 1024, 2},
		"all but half":       {8, 16, 3, 1023, 1},
		"long rows":          {4096, 16, 12, 0, 1},
	} {
		cache := open(t, t.TempDir(), c.features)
		for i := range c.small {
			shardOf(t, cache, i*c.rows, (i+1)*c.rows)
		}
		n := c.small * c.rows
		before := shardsIn(t, cache)
		if c.large > 0 {
			shardOf(t, cache, n, n+c.large)
		}
		large := slices.DeleteFunc(shardsIn(t, cache), func(s string) bool { return slices.Contains(before, s) })
		if err := cache.compact(); err != nil {
			t.Fatal(err)
		}
		after := shardsIn(t, cache)
		if len(after) != c.want {
			t.Errorf("%s: %d shards, want %d", name, len(after), c.want)
		}
		if c.large > 1023 && !slices.Contains(after, large[0]) {
			t.Errorf("%s: the large shard is gone", name)
		}
		holdsRows(t, name, open(t, filepath.Dir(cache.Dir()), c.features), n+c.large)
	}
}

// A shard that holds all rows of the others is what the merged one would be:
// its file must not be removed as one of the merged.
func TestCompactionKeepsTheShardThatIsTheResult(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 8)
	all := &rows{}
	order := make([]int, 40)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { x, y := numbered(a), numbered(b); return slices.Compare(x[:], y[:]) })
	for _, i := range order {
		all.add(fmt.Sprintf("a/%05d.jpg", i), "a", numbered(i), slices.Repeat([]float32{float32(i)}, 8))
	}
	if err := c.save(all); err != nil {
		t.Fatal(err)
	}
	whole := shardsIn(t, c)
	for i := range 15 {
		shardOf(t, c, i, i+1)
	}
	if err := c.compact(); err != nil {
		t.Fatal(err)
	}
	if names := shardsIn(t, c); !slices.Equal(names, whole) {
		t.Errorf("%v, want %v", names, whole)
	}
	holdsRows(t, "opened again", open(t, dir, 8), 40)
}

// Of rows of one file that of the smallest path stays, then of the smallest
// label, whichever process wrote first.
func TestMergedRowsDoNotDependOnTheOrder(t *testing.T) {
	var want []string
	for turn := range 3 {
		c := open(t, t.TempDir(), 2)
		for i := range 18 {
			k := (i*7 + turn*5) % 18 // another order each time
			r := &rows{}
			r.add(fmt.Sprintf("%c.jpg", 'a'+k/2), fmt.Sprintf("%c", 'y'-k%2), Digest{1}, []float32{float32(k), 1})
			if _, err := c.write(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.compact(); err != nil {
			t.Fatal(err)
		}
		got := content(t, c)
		if len(got) != 1 || !strings.Contains(got[0], " a.jpg x ") || turn > 0 && !slices.Equal(got, want) {
			t.Errorf("%q, want one row of a.jpg and x, as before %q", got, want)
		}
		want = got
	}
}

// failSteps makes a step of writing fail, for files whose name holds part.
func failSteps(t *testing.T, step durable.Step, part string, do func(path string) error) {
	t.Helper()
	before := durable.Before
	t.Cleanup(func() { durable.Before = before })
	durable.Before = func(s durable.Step, path string) error {
		if s == step && strings.Contains(filepath.Base(path), part) {
			return do(path)
		}
		return nil
	}
}

func sixteen(t *testing.T, dir string) *Cache {
	t.Helper()
	c := open(t, dir, 8)
	for i := range 16 {
		shardOf(t, c, 2*i, 2*i+2)
	}
	return c
}

// A compaction that fails loses nothing, and Fill says so and is no failure.
func TestFailedCompactionWarns(t *testing.T) {
	for _, step := range []durable.Step{durable.Create, durable.Delete} {
		for _, told := range []bool{true, false} {
			dir := t.TempDir()
			c := sixteen(t, dir)
			before := shardsIn(t, c)
			items := photos(t, 1)
			done := 0
			failSteps(t, step, "shard-", func(string) error {
				if done++; step == durable.Create && done == 1 {
					return nil // the row that is computed
				}
				return syscall.ENOSPC
			})
			var warned []string
			o := FillOptions{}
			if told {
				o.Warn = func(line string) { warned = append(warned, line) }
			}
			r, err := c.Fill(t.Context(), items, &fakeBody{features: 8}, fakeLoad, o)
			if !told {
				warned = c.Warnings()
			}
			if err != nil || r.Computed != 1 || len(warned) != 1 || !strings.HasPrefix(warned[0], "activations: ") ||
				!strings.Contains(warned[0], syscall.ENOSPC.Error()) {
				t.Errorf("%s: %+v, %v, warned %q", step, r, err, warned)
			}
			for _, name := range before {
				if !slices.Contains(shardsIn(t, c), name) {
					t.Errorf("%s: %s is gone", step, name)
				}
			}
			durable.Before = func(durable.Step, string) error { return nil }
			if again := open(t, dir, 8); again.Len() != 33 {
				t.Errorf("%s: %d rows", step, again.Len())
			}
		}
	}
}

// A Fill that computes nothing leaves the files as they are.
func TestReadingDoesNotCompact(t *testing.T) {
	items, dir := photos(t, 16), t.TempDir()
	c := open(t, dir, 8)
	for i := range items { // an hour between flushes, and no compaction on the way
		ctx, cancel := context.WithCancel(t.Context())
		body := &fakeBody{features: 8, after: func(int64) error { return nil }}
		o := FillOptions{Progress: func(_, _, computed int) {
			if computed > 0 {
				cancel()
			}
		}}
		if _, err := c.Fill(ctx, items[i:i+1], body, fakeLoad, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	names := shardsIn(t, c)
	if len(names) != 16 {
		t.Fatalf("%d shards after 16 Fills that were stopped: none of them was to merge", len(names))
	}
	counts(t, "read", fill(t, c, items, FillOptions{}), 0, 16, 0, 0)
	if !slices.Equal(shardsIn(t, c), names) {
		t.Errorf("%v, before %v", shardsIn(t, c), names)
	}
}

// While another process merges, this one leaves it alone; a damaged shard is
// left for Open to judge.
func TestCompactionBesideOthers(t *testing.T) {
	dir := t.TempDir()
	c := sixteen(t, dir)
	names := shardsIn(t, c)
	lock := flock.New(filepath.Join(c.Dir(), "lock-compact"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := c.compact(); err != nil || !slices.Equal(shardsIn(t, c), names) {
		t.Errorf("beside another: %v, %v", shardsIn(t, c), err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	bad := "shard-0123456789abcdef-01234567.arrow"
	write(t, filepath.Join(c.Dir(), bad), "not the bytes that were written")
	if err := c.compact(); err != nil {
		t.Fatal(err)
	}
	if names := shardsIn(t, c); len(names) != 2 || !slices.Contains(names, bad) {
		t.Errorf("%v, want the merged one and the damaged one", names)
	}
	if err := c.compact(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(c.Dir()); err != nil {
		t.Fatal(err)
	}
	if err := c.compact(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its folder: %v", err)
	}
}
