// Package remote lets photographs in buckets be read as files are (package reading), and
// brings whole folders here where only files will do.
//
// A bucket is mounted at a path, s3:/BUCKET, that no disk has. Its options are in the
// address that a person gives, s3://BUCKET/PATH?region=…, and stay with the mount.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"finetune/internal/failure"
	"finetune/internal/reading"
	"finetune/internal/store"
	"finetune/internal/tarshard"
)

// patience is how long a photograph, or a part of a tar, may take to come.
const patience = 2 * time.Minute

var mounted struct {
	sync.Mutex
	addresses map[string]string // of what is mounted, by the path
}

// Root is the path below which package reading reads what place names: place itself for a
// path, a mount for the URL of a folder or a file in a bucket. Nothing is read. Errors are
// failure.Usage: an address that is none, or a bucket that another one was mounted for.
func Root(place string) (string, error) {
	if !store.IsURL(place) {
		return place, nil
	}
	at, prefix, err := store.Divide(place)
	if err != nil {
		return "", err
	}
	bare, _, _ := strings.Cut(at, "?")
	begin := strings.Replace(bare, "://", ":/", 1)
	mounted.Lock()
	defer mounted.Unlock()
	switch was, there := mounted.addresses[begin]; {
	case there && was != at:
		return "", failure.Usage(fmt.Errorf("remote: %s and %s are one bucket with other options; give both the same",
			was, at))
	case !there:
		s, err := store.Open(context.Background(), at)
		if err != nil {
			return "", err
		}
		m := &mount{begin: begin, store: s}
		m.shards = tarshard.New(m)
		reading.At(begin, m)
		if mounted.addresses == nil {
			mounted.addresses = map[string]string{}
		}
		mounted.addresses[begin] = at
	}
	return strings.TrimSuffix(begin+"/"+prefix, "/"), nil
}

// mount is a bucket as a file system.
type mount struct {
	begin  string
	store  store.Store
	shards *tarshard.Files

	mu      sync.Mutex
	tars    map[string]entry // whose size is asked for once: a tar stays what it is
	lists   []listing
	readers []*ahead // of tars
}

// listing are the files below a folder, by their names in the bucket.
type listing struct {
	prefix string // "" or ending in a slash
	files  []store.Entry
}

// name is what a path is called in the bucket.
func (m *mount) name(p string) string {
	return strings.TrimPrefix(strings.TrimPrefix(filepath.ToSlash(p), m.begin), "/")
}

// entry is a file or a folder as package fs has it.
type entry struct {
	name string
	size int64
	time time.Time
	dir  bool
}

func (e entry) Name() string               { return e.name }
func (e entry) Size() int64                { return e.size }
func (e entry) ModTime() time.Time         { return e.time }
func (e entry) IsDir() bool                { return e.dir }
func (e entry) Sys() any                   { return nil }
func (e entry) Type() fs.FileMode          { return e.Mode().Type() }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

func file(e store.Entry) entry { return entry{name: path.Base(e.Name), size: e.Size, time: e.Modified} }

// at is where names that begin with prefix are in a listing.
func (l listing) at(prefix string) int {
	i, _ := slices.BinarySearchFunc(l.files, prefix,
		func(e store.Entry, p string) int { return strings.Compare(e.Name, p) })
	return i
}

// has reports whether a name, and what is below it, would be in the listing.
func (l listing) has(name string) bool {
	return strings.HasPrefix(name+"/", l.prefix)
}

// listed is the listing that a name would be in.
func (m *mount) listed(name string) (listing, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.lists {
		if l.has(name) {
			return l, true
		}
	}
	return listing{}, false
}

// Stat implements reading.Mount. A folder is a name that others begin with.
func (m *mount) Stat(p string) (fs.FileInfo, error) {
	name := m.name(p)
	none := &fs.PathError{Op: "stat", Path: p, Err: fs.ErrNotExist}
	folder := entry{name: path.Base(p), dir: true}
	if l, ok := m.listed(name); ok {
		if i := l.at(name); i < len(l.files) && l.files[i].Name == name {
			return file(l.files[i]), nil
		}
		if i := l.at(name + "/"); name == "" || i < len(l.files) && strings.HasPrefix(l.files[i].Name, name+"/") {
			return folder, nil
		}
		return nil, none
	}
	if e, ok := m.tar(name); ok {
		return e, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if name != "" {
		e, err := m.store.Stat(ctx, name)
		if err == nil {
			return m.remember(name, file(e)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fatal(err)
		}
		name += "/"
	}
	some := false
	err := m.store.List(ctx, name, func(store.Entry) error { some = true; return fs.SkipAll })
	switch {
	case err != nil:
		return nil, fatal(err)
	case !some:
		return nil, none
	}
	return folder, nil
}

func (m *mount) tar(name string) (entry, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.tars[name]
	return e, ok
}

func (m *mount) remember(name string, e entry) entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tars == nil {
		m.tars = map[string]entry{}
	}
	if tarshard.IsShard(name) {
		m.tars[name] = e
	}
	return e
}

// fatal makes an error of a bucket one of the machine, unless it says that there is no such
// file: where access to one photograph is refused, it is refused to all.
func fatal(err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) || failure.System(err) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return failure.Passing(err)
}

// ReadDir implements reading.Mount. The first folder is listed with all that is below it.
func (m *mount) ReadDir(p string) ([]fs.DirEntry, error) {
	name := m.name(p)
	if name != "" {
		name += "/"
	}
	l, ok := m.listed(strings.TrimSuffix(name, "/"))
	if !ok {
		var err error
		if l, err = m.list(name); err != nil {
			return nil, fatal(err)
		}
	}
	var out []fs.DirEntry
	for i := l.at(name); i < len(l.files) && strings.HasPrefix(l.files[i].Name, name); {
		child, below, deeper := strings.Cut(l.files[i].Name[len(name):], "/")
		if !deeper {
			out = append(out, file(l.files[i]))
			i++
			continue
		}
		if below == "" { // no name of a file; store.List leaves such out
			i++
			continue
		}
		if child != "" && child != "." && child != ".." {
			out = append(out, entry{name: child, dir: true})
		}
		i = l.at(name + child + "0") // the byte behind a slash
	}
	if len(out) == 0 {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	slices.SortStableFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// list reads a listing, in pages, and keeps it: the photographs of a command are those that
// were there when it began.
func (m *mount) list(prefix string) (l listing, err error) {
	l.prefix = prefix
	err = reading.Steadily(m.begin+"/"+prefix, func() error {
		l.files = l.files[:0]
		return m.store.List(context.Background(), prefix, func(e store.Entry) error {
			l.files = append(l.files, e)
			return nil
		})
	})
	if err != nil {
		return l, err
	}
	slices.SortFunc(l.files, func(a, b store.Entry) int { return strings.Compare(a.Name, b.Name) })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lists = append(m.lists, l)
	return l, nil
}

// timed is a file whose time ends.
type timed struct {
	io.ReadCloser
	cancel func()
}

// Close implements io.Closer.
func (t timed) Close() error {
	t.cancel()
	return t.ReadCloser.Close()
}

// Read implements io.Reader.
func (t timed) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = fatal(err)
	}
	return n, err
}

// Open implements reading.Mount: one request, whose answer describes the file too.
func (m *mount) Open(p string) (io.ReadCloser, fs.FileInfo, error) {
	name := m.name(p)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r, err := m.store.Open(ctx, name, 0, -1)
	if err != nil {
		cancel()
		if errors.Is(err, fs.ErrNotExist) {
			err = &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
		}
		return nil, nil, fatal(err)
	}
	e := store.Entry{Name: name}
	if d, ok := r.(interface{ Describe() store.Entry }); ok {
		e = d.Describe()
	}
	return timed{r, cancel}, file(e), nil
}

// Shards implements reading.Mount.
func (m *mount) Shards() *tarshard.Files { return m.shards }
