package tarshard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"finetune/internal/failure"
)

// IsShard reports whether a file is a shard by its name.
func IsShard(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".tar") }

// Compressed reports whether a file is a compressed shard by its name.
func Compressed(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}

// Source is where the files of shards are.
type Source interface {
	Stat(shard string) (fs.FileInfo, error)
	// At opens a shard for reads at any place, at once. It is closed if it is an io.Closer.
	At(shard string) (io.ReaderAt, error)
}

// Files are the members of shards as files. Indexes are kept as long as shards stay the
// same. Methods may be called at once.
type Files struct {
	source Source

	mu    sync.Mutex
	of    map[string]*index
	order []string
	known map[string]map[string]Member // shard → name → member
}

// New reads shards from source.
func New(source Source) *Files { return &Files{source: source, of: map[string]*index{}} }

// Disk are the shards that the system reads.
var Disk = New(disk{})

type disk struct{}

// Stat implements Source.
func (disk) Stat(shard string) (fs.FileInfo, error) { return os.Stat(shard) }

// At implements Source.
func (disk) At(shard string) (io.ReaderAt, error) { return os.Open(shard) }

// Cut divides SHARD.tar/member at the first ".tar/" from a place on; ok is false without one.
func Cut(file string, from int) (end int, ok bool) {
	if len(strings.ToLower(file)) != len(file) {
		return 0, false
	}
	i := strings.Index(strings.ToLower(file[from:]), ".tar/")
	return from + i + len(".tar"), i >= 0
}

// Within divides SHARD.tar/member, where SHARD.tar is a plain file. Nothing else is
// looked at: the member's name never reaches the file system.
func (f *Files) Within(file string) (shard, member string, ok bool) {
	for at := 0; ; {
		if at, ok = Cut(file, at); !ok {
			return "", "", false
		}
		f.mu.Lock()
		_, known := f.known[file[:at]]
		f.mu.Unlock()
		if known {
			return file[:at], file[at+1:], true
		}
		if info, err := f.source.Stat(file[:at]); err == nil && info.Mode().IsRegular() {
			return file[:at], file[at+1:], true
		}
	}
}

// Know replaces what is known of members without looking into their shards: from then on
// they are read where they are said to be, if their headers are there.
func (f *Files) Know(members map[string]map[string]Member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = members
}

// find is a member, and the time of its shard, zero for one that is known.
func (f *Files) find(shard, member string) (m Member, t time.Time, known bool, err error) {
	f.mu.Lock()
	m, known = f.known[shard][member]
	f.mu.Unlock()
	if known {
		return m, t, true, nil
	}
	x, err := f.index(shard)
	if err != nil {
		return m, t, false, err
	}
	m, there := x.members[member]
	if !there {
		return m, t, false, &fs.PathError{Op: "open", Path: shard + "/" + member, Err: fs.ErrNotExist}
	}
	return m, x.modified, false, nil
}

// Stat describes SHARD.tar/member.
func (f *Files) Stat(shard, member string) (fs.FileInfo, error) {
	m, t, known, err := f.find(shard, member)
	if err != nil {
		return nil, err
	}
	if known { // if its shard is there
		now, err := f.source.Stat(shard)
		if err != nil {
			return nil, err
		}
		t = now.ModTime()
	}
	return info{m, t}, nil
}

// Open reads SHARD.tar/member, and describes it. Errors: a member that is known and no
// longer there is failure.Data.
func (f *Files) Open(shard, member string) (io.ReadCloser, fs.FileInfo, error) {
	m, t, known, err := f.find(shard, member)
	if err != nil {
		return nil, nil, err
	}
	r, err := f.source.At(shard)
	if err != nil {
		return nil, nil, err
	}
	p := part{io.NewSectionReader(r, m.Offset, m.Size), io.NopCloser(nil)}
	if c, ok := r.(io.Closer); ok {
		p.Closer = c
	}
	if known {
		if err := m.check(r); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("%s: %w", shard, err), p.Close())
		}
	}
	return p, info{m, t}, nil
}

type part struct {
	io.Reader
	io.Closer
}

// Photographs are the names of a shard's photographs, in its order.
func (f *Files) Photographs(ctx context.Context, shard string) ([]string, error) {
	list, err := f.Members(ctx, shard)
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = m.Name
	}
	return names, err
}

// Members are a shard's photographs, in its order.
func (f *Files) Members(ctx context.Context, shard string) ([]Member, error) {
	x, err := f.readIndex(ctx, shard)
	if err != nil {
		return nil, err
	}
	var list []Member
	for _, m := range x.order {
		if _, extension, ok := Split(m.Name); ok && IsPhotograph(extension) {
			list = append(list, m)
		}
	}
	return list, nil
}

// Samples are a shard's photographs with their labels, in its order.
func (f *Files) Samples(ctx context.Context, shard string) ([]Sample, error) {
	x, err := f.readIndex(ctx, shard)
	if err != nil {
		return nil, err
	}
	r, err := f.source.At(shard)
	if err != nil {
		return nil, err
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	list, err := Samples(x.order, func(m Member) ([]byte, error) { return Read(r, m) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shard, err)
	}
	return list, nil
}

// info is a member as fs describes files; its time is the shard's.
type info struct {
	m        Member
	modified time.Time
}

func (i info) Name() string       { return path.Base(i.m.Name) }
func (i info) Size() int64        { return i.m.Size }
func (i info) Mode() fs.FileMode  { return 0o444 }
func (i info) ModTime() time.Time { return i.modified }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }

// index is what a shard holds, as long as its file stays the same.
type index struct {
	size     int64
	modified time.Time
	order    []Member
	members  map[string]Member
}

// mostIndexes are kept at once: photographs are read in the order of their shards.
const mostIndexes = 8

// index is that of a shard, made again when its file has changed.
func (f *Files) index(shard string) (*index, error) {
	now, err := f.source.Stat(shard)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if x := f.of[shard]; x != nil && x.size == now.Size() && x.modified.Equal(now.ModTime()) {
		return x, nil
	}
	x, err := f.readIndex(context.Background(), shard)
	if err != nil {
		return nil, err
	}
	if f.of[shard] == nil {
		f.order = append(f.order, shard)
	}
	f.of[shard] = x
	if len(f.order) > mostIndexes {
		delete(f.of, f.order[0])
		f.order = f.order[1:]
	}
	return x, nil
}

func (f *Files) readIndex(ctx context.Context, shard string) (*index, error) {
	now, err := f.source.Stat(shard)
	if err != nil {
		return nil, err
	}
	r, err := f.source.At(shard)
	if err != nil {
		return nil, err
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	x := &index{size: now.Size(), modified: now.ModTime(), members: map[string]Member{}}
	if x.order, err = Index(ctx, r, x.size); err != nil {
		return nil, fmt.Errorf("%s: %w", shard, err)
	}
	for _, m := range x.order {
		if _, twice := x.members[m.Name]; twice {
			return nil, failure.Data(fmt.Errorf("%s: %w: %q; rename one of them", shard, errTwice, m.Name))
		}
		x.members[m.Name] = m
	}
	return x, nil
}

var errTwice = errors.New("tarshard: two members have one name")
