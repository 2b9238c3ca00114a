package activations

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"finetune/dataset"
	"finetune/internal/durable"
	"finetune/internal/parallel"
	"finetune/internal/plural"
	"finetune/internal/reading"
)

// Cache is the rows of one key. Its methods may be called by several
// goroutines at once, Fill by one at a time. Slices that Row returns live until Close.
type Cache struct {
	dir string // the key's folder
	key keyFile

	mu       sync.RWMutex
	shards   []*shard
	index    map[Digest]place
	known    map[string]bool   // shard names seen: true if the rows are in the index, false if it was refused
	digests  map[string]Digest // dataset.Item.File -> content, as Fill or Rows read it
	warnings []string
}

// place says where a row lies.
type place struct{ shard, batch, row int32 }

// Open reads the rows that dir holds for the key, creating the folder where it
// is missing. Every shard is checked; a damaged one is renamed to
// NAME.damaged, named by Warnings, and its rows are computed again by Fill.
// features is the length of a row. Owned by the caller: the Cache, freed by Close.
func Open(dir string, k Key, features int) (*Cache, error) {
	if features < 1 || features > maxFeatures {
		return nil, fmt.Errorf("activations: %s a row; between 1 and %d are possible", plural.Count(features, "feature"),
			maxFeatures)
	}
	key := keyFile{Format: format, Features: features, Key: k}
	c := &Cache{
		dir: filepath.Join(dir, key.hash()), key: key,
		index: map[Digest]place{}, known: map[string]bool{}, digests: map[string]Digest{},
	}
	if err := os.MkdirAll(c.dir, 0o777); err != nil {
		return nil, fmt.Errorf("activations: %s: %w; choose another folder with --cache", c.dir, err)
	}
	if err := c.touch(); err != nil {
		return nil, err
	}
	c.sweep()
	if err := c.refresh(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// touch records the use of the key, by the time of key.json, and writes that
// file where it is missing or wrong. A folder that may only be read is fine.
func (c *Cache) touch() error {
	path := filepath.Join(c.dir, "key.json")
	have, err := os.ReadFile(path)
	if err == nil && bytes.Equal(have, c.key.bytes()) {
		now := time.Now()
		_ = os.Chtimes(path, now, now)
		return nil
	}
	if err == nil {
		c.warn("%s: differs from what was written; writing it again", path)
	}
	if err := durable.WriteFile(path, c.key.bytes()); err != nil {
		return fmt.Errorf("activations: %w; choose another folder with --cache", err)
	}
	return nil
}

// sweep removes what killed runs left half written, once it is an hour old.
func (c *Cache) sweep() {
	entries, _ := os.ReadDir(c.dir)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && temporary(e.Name()) && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(c.dir, e.Name()))
		}
	}
}

// temporary knows the names that durable writes under before it renames.
func temporary(name string) bool {
	return durable.Temporary(name, func(name string) bool { return name == "key.json" || shardName.MatchString(name) })
}

// refresh reads the shards that appeared since the last call, on all cores.
func (c *Cache) refresh() error {
	names, err := shardNames(c.dir)
	if err != nil {
		return fmt.Errorf("activations: %w", err)
	}
	c.mu.RLock()
	names = slices.DeleteFunc(names, func(n string) bool { _, seen := c.known[n]; return seen })
	c.mu.RUnlock()
	opened, errs := make([]*shard, len(names)), make([]error, len(names))
	parallel.For(len(names), 0, func(i int) {
		opened[i], errs[i] = openShard(filepath.Join(c.dir, names[i]), c.key, true)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, name := range names {
		switch {
		case errs[i] == nil:
			c.add(opened[i])
		case errors.Is(errs[i], os.ErrNotExist): // merged by another process; its rows came under a new name
		default:
			c.known[name] = false // the same rows, computed again, get the same name
			c.setAside(name, errs[i])
		}
	}
	return nil
}

// shardNames lists the shards in a key's folder, sorted.
func shardNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if shardName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// add takes a shard in; c.mu is held.
func (c *Cache) add(s *shard) {
	if c.known[s.name] { // equal rows, flushed before, or read by two goroutines
		_ = s.close()
		return
	}
	c.known[s.name] = true
	at := int32(len(c.shards))
	c.shards = append(c.shards, s)
	for b := range s.batches {
		for r, d := range s.batches[b].digests {
			if _, ok := c.index[d]; !ok {
				c.index[d] = place{at, int32(b), int32(r)}
			}
		}
	}
}

// setAside takes a damaged shard out of the way; c.mu is held.
func (c *Cache) setAside(name string, cause error) {
	path := filepath.Join(c.dir, name)
	if !errors.Is(cause, errDamaged) {
		c.note("%s: %v; not used", path, cause)
		return
	}
	if err := os.Rename(path, path+".damaged"); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.note("%s: %v; not used, and not set aside: %v", path, cause, err)
		return
	}
	c.note("%s: %v; set aside as %s.damaged, its rows will be computed again", path, cause, name)
}

func (c *Cache) warn(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(format, args...)
}

// note is warn where c.mu is held.
func (c *Cache) note(format string, args ...any) {
	c.warnings = append(c.warnings, "activations: "+fmt.Sprintf(format, args...))
}

// Warnings returns what was odd since the last call, one line each.
func (c *Cache) Warnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.warnings
	c.warnings = nil
	return w
}

// Dir is the key's folder. Features is the length of a row. Len is the number of distinct rows.
func (c *Cache) Dir() string { return c.dir }

// Features is the number of values a row.
func (c *Cache) Features() int { return c.key.Features }
func (c *Cache) Len() int      { c.mu.RLock(); defer c.mu.RUnlock(); return len(c.index) }

// Row returns the features of a file by its SHA-256 in hex, without copying.
func (c *Cache) Row(digest string) ([]float32, bool) {
	var d Digest
	if n, err := hex.Decode(d[:], []byte(digest[:min(len(digest), 2*len(d))])); err != nil || n != len(d) ||
		len(digest) != 2*n {
		return nil, false
	}
	return c.row(d)
}

func (c *Cache) row(d Digest) ([]float32, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, ok := c.index[d]
	if !ok {
		return nil, false
	}
	f := c.key.Features
	return c.shards[p.shard].batches[p.batch].features[int(p.row)*f:][:f:f], true
}

// Rows gathers the features of items into x [len(items), features]; ok[i] is
// false, and row i zero, where an item has none. Files that Fill has seen are
// not read again; any others are, to know their content.
func (c *Cache) Rows(items []dataset.Item) (x []float32, ok []bool) {
	f := c.key.Features
	x, ok = make([]float32, len(items)*f), make([]bool, len(items))
	parallel.For(len(items), 0, func(i int) {
		d, found := c.digest(items[i].File)
		if !found {
			return
		}
		var row []float32
		if row, ok[i] = c.row(d); ok[i] {
			copy(x[i*f:], row)
		}
	})
	return x, ok
}

// Digest is the SHA-256 in hex of a file's content, empty where it cannot be
// read. Files that Fill or Rows have seen are not read again.
func (c *Cache) Digest(file string) string {
	d, ok := c.digest(file)
	if !ok {
		return ""
	}
	return d.String()
}

// digest returns what is known of a file's content, reading it if need be.
func (c *Cache) digest(file string) (d Digest, ok bool) {
	c.mu.RLock()
	d, ok = c.digests[file]
	c.mu.RUnlock()
	if ok {
		return d, true
	}
	text, err := reading.Digest(file)
	if err != nil {
		return d, false
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return d, false
	}
	c.remember(file, d)
	return d, true
}

func (c *Cache) remember(file string, d Digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.digests[file] = d
}

// Close unmaps the shards. Slices that Row returned must not be used after it.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, s := range c.shards {
		errs = append(errs, s.close())
	}
	c.shards, c.index = nil, map[Digest]place{}
	return errors.Join(errs...)
}

// save writes rows as one shard and takes it in.
func (c *Cache) save(r *rows) error {
	name, err := c.write(r)
	if err != nil {
		return err
	}
	path := filepath.Join(c.dir, name)
	s, err := openShard(path, c.key, true)
	if errors.Is(err, os.ErrNotExist) {
		return nil // merged by another process in the meantime: refresh finds the rows
	}
	if err != nil {
		return fmt.Errorf("activations: %s: written and read back: %w; check the disk", path, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(s)
	return nil
}

// write makes rows a shard on disk and returns its name.
func (c *Cache) write(r *rows) (name string, err error) {
	name, file, err := r.encode(c.key)
	if err != nil {
		return "", fmt.Errorf("activations: %s: %w", c.dir, err)
	}
	if err := durable.WriteFile(filepath.Join(c.dir, name), file); err != nil {
		return "", fmt.Errorf("activations: %w; free some space or choose another folder with --cache", err)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "key.json")); errors.Is(err, os.ErrNotExist) {
		return name, c.touch() // the key was removed while it was in use
	}
	return name, nil
}

// shardRows is how many rows go into a shard: about 8 MB of features.
func (c *Cache) shardRows() int { return min(max(cmp.Or(2<<20/c.key.Features, 1), 64), 2048) }
