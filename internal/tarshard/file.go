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

// Within divides SHARD.tar/member, where SHARD.tar is a plain file. Nothing else is
// looked at: the member's name never reaches the file system.
func Within(file string) (shard, member string, ok bool) {
	for at := 0; ; {
		i := strings.Index(strings.ToLower(file[at:]), ".tar/")
		if i < 0 || len(strings.ToLower(file)) != len(file) {
			return "", "", false
		}
		at += i + len(".tar")
		if info, err := os.Stat(file[:at]); err == nil && info.Mode().IsRegular() {
			return file[:at], file[at+1:], true
		}
	}
}

// Stat describes SHARD.tar/member.
func Stat(shard, member string) (fs.FileInfo, error) {
	x, err := indexOf(shard)
	if err != nil {
		return nil, err
	}
	m, there := x.members[member]
	if !there {
		return nil, &fs.PathError{Op: "open", Path: shard + "/" + member, Err: fs.ErrNotExist}
	}
	return info{m, x.modified}, nil
}

// Open reads SHARD.tar/member.
func Open(shard, member string) (io.ReadCloser, error) {
	i, err := Stat(shard, member)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(shard)
	if err != nil {
		return nil, err
	}
	m := i.(info).m
	return part{io.NewSectionReader(f, m.Offset, m.Size), f}, nil
}

type part struct {
	io.Reader
	io.Closer
}

// Photographs are the names of a shard's photographs, in its order.
func Photographs(ctx context.Context, shard string) ([]string, error) {
	x, err := readIndex(ctx, shard)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range x.order {
		if _, extension, ok := Split(m.Name); ok && IsPhotograph(extension) {
			names = append(names, m.Name)
		}
	}
	return names, nil
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

var indexes struct {
	sync.Mutex
	of    map[string]*index
	order []string
}

// indexOf is the index of a shard, made again when its file has changed.
func indexOf(shard string) (*index, error) {
	now, err := os.Stat(shard)
	if err != nil {
		return nil, err
	}
	indexes.Lock()
	defer indexes.Unlock()
	if x := indexes.of[shard]; x != nil && x.size == now.Size() && x.modified.Equal(now.ModTime()) {
		return x, nil
	}
	x, err := readIndex(context.Background(), shard)
	if err != nil {
		return nil, err
	}
	if indexes.of == nil {
		indexes.of = map[string]*index{}
	}
	if indexes.of[shard] == nil {
		indexes.order = append(indexes.order, shard)
	}
	indexes.of[shard] = x
	if len(indexes.order) > mostIndexes {
		delete(indexes.of, indexes.order[0])
		indexes.order = indexes.order[1:]
	}
	return x, nil
}

func readIndex(ctx context.Context, shard string) (*index, error) {
	f, err := os.Open(shard)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	now, err := f.Stat()
	if err != nil {
		return nil, err
	}
	x := &index{size: now.Size(), modified: now.ModTime(), members: map[string]Member{}}
	if x.order, err = Index(ctx, f, x.size); err != nil {
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
