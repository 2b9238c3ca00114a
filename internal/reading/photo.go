package reading

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"finetune/internal/tarshard"
)

// Mount is where files are that are not on a disk. Paths begin with what it is mounted at.
type Mount interface {
	Stat(path string) (fs.FileInfo, error)
	ReadDir(path string) ([]fs.DirEntry, error) // sorted by name
	// Open also describes the file, as it is then. A folder has no reader.
	Open(path string) (io.ReadCloser, fs.FileInfo, error)
	Shards() *tarshard.Files
}

var mounts struct {
	sync.RWMutex
	at map[string]Mount
}

// At mounts m: paths that are begin, or lie below it, are read through m. begin is no path
// that a disk has, such as s3:/BUCKET.
func At(begin string, m Mount) {
	mounts.Lock()
	defer mounts.Unlock()
	if mounts.at == nil {
		mounts.at = map[string]Mount{}
	}
	mounts.at[begin] = m
}

// Mounted is what a path is read through, and whether that is no disk.
func Mounted(path string) (Mount, bool) {
	if strings.Contains(path, ":") {
		path = filepath.ToSlash(path)
		mounts.RLock()
		defer mounts.RUnlock()
		for begin, m := range mounts.at {
			if rest, ok := strings.CutPrefix(path, begin); ok && (rest == "" || rest[0] == '/') {
				return m, true
			}
		}
	}
	return disk{}, false
}

// disk is what the system reads.
type disk struct{}

// Stat implements Mount.
func (disk) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

// ReadDir implements Mount.
func (disk) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// Shards implements Mount.
func (disk) Shards() *tarshard.Files { return tarshard.Disk }

// Open implements Mount. It looks before it opens: a pipe would block.
func (disk) Open(path string) (io.ReadCloser, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, info, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return f, info, nil
}

// Stat describes a photograph: a file, or a member of a tar, whose path is SHARD.tar/member.
func Stat(path string) (fs.FileInfo, error) {
	m, _ := Mounted(path)
	if shard, member, ok := m.Shards().Within(path); ok {
		return m.Shards().Stat(shard, member)
	}
	return m.Stat(path)
}

// ReadDir lists a folder, sorted by name.
func ReadDir(path string) ([]fs.DirEntry, error) {
	m, _ := Mounted(path)
	return m.ReadDir(path)
}

// Photograph opens what Stat describes, and describes it; what is no plain file is described
// alone.
func Photograph(path string) (io.ReadCloser, fs.FileInfo, error) {
	m, _ := Mounted(path)
	if shard, member, ok := m.Shards().Within(path); ok {
		return m.Shards().Open(shard, member)
	}
	return m.Open(path)
}

// Open opens a file: what Photograph opens, or anything that the system opens.
func Open(path string) (io.ReadCloser, error) {
	if _, mounted := Mounted(path); !mounted && !strings.Contains(strings.ToLower(path), ".tar/") {
		return os.Open(path)
	}
	r, _, err := Photograph(path)
	if err == nil && r == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	return r, err
}

// Photographs are the names of a tar's photographs, in its order.
func Photographs(ctx context.Context, shard string) ([]string, error) {
	m, _ := Mounted(shard)
	return m.Shards().Photographs(ctx, shard)
}
