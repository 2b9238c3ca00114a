package tasks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/parallel"
	"finetune/internal/reading"
	"finetune/internal/remote"
	"finetune/internal/sorting"
	"finetune/internal/tarshard"
)

// A task's line of a tar's member is OFFSET SIZE N PATH: where its bytes are, and the
// characters of PATH that are the tar. So a worker reads its part of a tar and nothing else.

// indexers is how many tars are looked through at once.
const indexers = 4

// photographsOf are the photographs of tars, in the order of their paths.
func photographsOf(ctx context.Context, root string, tars []string, s *sorting.Sorter) (*input, error) {
	err := eachTar(root, tars, func(m reading.Mount, file string) ([]tarshard.Member, error) {
		return m.Shards().Members(ctx, file)
	}, func(tar string, member tarshard.Member) error {
		path, place := where(tar, member)
		return s.Add(path + "\x00" + place) // no name in a tar holds a zero byte
	})
	return &input{each: func(yield func(string) error) error {
		_, err := s.Each(func(text string) error {
			path, place, _ := strings.Cut(text, "\x00")
			return yield(place + " " + path)
		})
		return err
	}}, err
}

// eachTar looks through several tars at once, and visits what it finds in them one at a time, a tar after the other.
func eachTar[T any](root string, tars []string, look func(m reading.Mount, file string) ([]T, error),
	visit func(tar string, found T) error) error {
	at, err := remote.Root(root)
	if err != nil {
		return err
	}
	errs := make([]error, len(tars))
	var failed atomic.Bool
	var visiting sync.Mutex
	parallel.For(len(tars), indexers, func(i int) {
		if failed.Load() {
			return
		}
		file := filepath.Join(at, filepath.FromSlash(tars[i]))
		m, _ := reading.Mounted(file)
		found, err := look(m, file)
		visiting.Lock()
		for k := 0; k < len(found) && err == nil; k++ {
			err = visit(tars[i], found[k])
		}
		visiting.Unlock()
		if errs[i] = err; err != nil {
			failed.Store(true)
		}
	})
	for _, err := range errs {
		if err != nil {
			return failure.Data(fmt.Errorf("tasks: %w", err))
		}
	}
	return nil
}

// where is the path of a member, and what a task's line has before it.
func where(tar string, m tarshard.Member) (path, place string) {
	return naming.EscapePath(tar + "/" + m.Name), fmt.Sprintf("%d %d %d", m.Offset, m.Size, len(naming.EscapePath(tar)))
}

// place reads a task's line.
func place(line string) (path, shard string, m tarshard.Member, err error) {
	f := strings.SplitN(line, " ", 4)
	if len(f) == 4 {
		var length int
		m.Offset, err = strconv.ParseInt(f[0], 10, 64)
		if err == nil {
			m.Size, err = strconv.ParseInt(f[1], 10, 64)
		}
		if err == nil {
			length, err = strconv.Atoi(f[2])
		}
		path = f[3]
		if err == nil && m.Offset >= 0 && m.Size >= 0 && length > 0 && length < len(path) && path[length] == '/' {
			shard = path[:length]
			m.Name = naming.UnescapePath(path[length+1:])
			return path, shard, m, nil
		}
	}
	return "", "", m, failure.Data(fmt.Errorf("tasks: %.80q is no member of a tar", line))
}

// located takes the places out of a task's lines, and makes package reading read there. It
// fails where a tar is not the one that was planned over.
func located(root string, lines []string) ([]string, error) {
	paths, known := make([]string, len(lines)), map[string]map[string]tarshard.Member{}
	shards, _ := reading.Mounted(root)
	for i, line := range lines {
		path, shard, m, err := place(line)
		if err != nil {
			return nil, err
		}
		at := file(root, shard)
		if known[at] == nil {
			known[at] = map[string]tarshard.Member{}
		}
		paths[i], known[at][m.Name] = path, m
	}
	shards.Shards().Know(known)
	for i, line := range lines { // the first and the last one of each tar
		_, shard, m, _ := place(line)
		if i > 0 && i < len(lines)-1 && strings.HasPrefix(paths[i-1], shard+"/") && strings.HasPrefix(paths[i+1], shard+"/") {
			continue
		}
		r, _, err := shards.Shards().Open(file(root, shard), m.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("tasks: %w; mount its folder, or name that with --photographs", err)
		}
		if err != nil {
			return nil, fmt.Errorf("tasks: %w", err)
		}
		_ = r.Close() // nothing was read
	}
	return paths, nil
}
