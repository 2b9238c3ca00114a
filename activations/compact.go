package activations

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"finetune/internal/durable"
	"finetune/internal/lock"
)

// manySmall is how many small shards are worth merging: opening one costs about
// as much as reading 100 rows.
const manySmall = 16

// compact merges small shards when there are many. The result depends on their
// rows alone: sorted by digest, one row a digest, that of the smallest path.
//
// It is safe beside readers, who keep what they have mapped, and beside other
// writers: a shard is removed only after another one, on disk, holds its rows.
func (c *Cache) compact() error {
	if n, err := c.countSmall(); err != nil || n < manySmall {
		return err
	}
	l := flock.New(filepath.Join(c.dir, "lock-compact"), flock.SetPermissions(0o666))
	if lock.Plain(l.Path()) != nil {
		return nil
	}
	if got, err := l.TryLock(); err != nil || !got {
		return nil // another process is at it, or there are no locks: then never
	}
	defer func() { _ = l.Unlock() }()
	small, err := c.smallShards()
	defer func() {
		for _, s := range small {
			_ = s.close() // read only
		}
	}()
	if err != nil || len(small) < manySmall {
		return err
	}
	merged, err := c.writeMerged(mergeRows(small, c.key.Features))
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range small {
		if merged[s.name] {
			continue
		}
		if err := durable.Remove(filepath.Join(c.dir, s.name)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// countSmall judges by file size alone.
func (c *Cache) countSmall() (n int, err error) {
	names, err := shardNames(c.dir)
	for _, name := range names {
		info, err := os.Stat(filepath.Join(c.dir, name))
		// 400: a generous path, label and digest
		if err == nil && info.Size() < int64(c.shardRows()/2*(c.key.Features*4+400)) {
			n++
		}
	}
	return n, err
}

// smallShards opens the shards with less than half the usual rows.
func (c *Cache) smallShards() (small []*shard, err error) {
	names, err := shardNames(c.dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		s, err := openShard(filepath.Join(c.dir, name), c.key, true)
		if err != nil {
			continue // the next Open says what is wrong with it
		}
		if s.rows() < c.shardRows()/2 {
			small = append(small, s)
		} else {
			_ = s.close() // read only
		}
	}
	return small, nil
}

// mergeRows gathers the rows of shards, sorted by digest, without repeats.
func mergeRows(shards []*shard, features int) *rows {
	type ref struct {
		digest      Digest
		path, label string
		features    []float32
	}
	var refs []ref
	for _, s := range shards {
		for _, b := range s.batches {
			for i, d := range b.digests {
				refs = append(refs, ref{d, b.paths.at(i), b.labels.at(i), b.features[i*features:][:features]})
			}
		}
	}
	slices.SortFunc(refs, func(a, b ref) int {
		return cmp.Or(slices.Compare(a.digest[:], b.digest[:]), strings.Compare(a.path, b.path),
			strings.Compare(a.label, b.label))
	})
	refs = slices.CompactFunc(refs, func(a, b ref) bool { return a.digest == b.digest })
	out := &rows{}
	for _, r := range refs {
		out.add(r.path, r.label, r.digest, r.features)
	}
	return out
}

// writeMerged writes rows as shards of the usual size and returns their names.
func (c *Cache) writeMerged(all *rows) (names map[string]bool, err error) {
	names = map[string]bool{}
	size, n := c.shardRows(), len(all.paths)
	for from := 0; from < n; from += size {
		to := min(from+size, n)
		name, err := c.write(&rows{
			all.paths[from:to], all.labels[from:to], all.digests[from:to],
			all.features[from*c.key.Features : to*c.key.Features],
		})
		if err != nil {
			return nil, err
		}
		names[name] = true
		c.mu.Lock()
		c.known[name] = true // its rows are in the index already
		c.mu.Unlock()
	}
	return names, nil
}
