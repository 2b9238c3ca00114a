package store

import (
	"container/heap"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// window is how many names of one folder are held at once. A folder with more is read
// again for the next ones: 16 times for a million.
const window = 1 << 16

var errNotFolder error = syscall.ENOTDIR

// list visits the files in the folder at ("" or ending in a slash) whose names begin
// with prefix. A folder's name has its slash, so that names come in the order of their bytes.
func (f folder) list(ctx context.Context, at, prefix string, visit func(Entry) error) error {
	for after := ""; ; {
		names, err := f.next(ctx, at, prefix, after)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotFolder) { // or gone meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := f.visit(ctx, at+name, prefix, visit); err != nil {
				return err
			}
		}
		if len(names) < f.window {
			return nil
		}
		after = names[len(names)-1]
	}
}

// visit goes into a folder or shows a file.
func (f folder) visit(ctx context.Context, name, prefix string, visit func(Entry) error) error {
	if strings.HasSuffix(name, "/") {
		return f.list(ctx, name, prefix, visit)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(f.root, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) { // gone meanwhile, or a link to nothing
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	return visit(Entry{name, info.Size(), info.ModTime()})
}

// next are the first names in the folder at, in order, that come after one; at most f.window.
func (f folder) next(ctx context.Context, at, prefix, after string) ([]string, error) {
	dir, err := os.Open(filepath.Join(f.root, filepath.FromSlash(at)))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var first greatest
	for {
		entries, err := dir.ReadDir(1024)
		for _, e := range entries {
			name := e.Name()
			if temporary(name) {
				continue
			}
			if e.IsDir() {
				name += "/"
			}
			if whole := at + name; name <= after || !strings.HasPrefix(whole, prefix) &&
				!(e.IsDir() && strings.HasPrefix(prefix, whole)) {
				continue
			}
			switch {
			case len(first) < f.window:
				heap.Push(&first, name)
			case name < first[0]:
				first[0] = name
				heap.Fix(&first, 0)
			}
		}
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(first)
			return first, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// greatest is a heap whose first element is the greatest.
type greatest []string

func (g greatest) Len() int           { return len(g) }
func (g greatest) Less(i, j int) bool { return g[i] > g[j] }
func (g greatest) Swap(i, j int)      { g[i], g[j] = g[j], g[i] }

// Push and Pop are heap's.
func (g *greatest) Push(x any) { *g = append(*g, x.(string)) }

// Pop is not used: names leave by being replaced.
func (g *greatest) Pop() any {
	last := len(*g) - 1
	x := (*g)[last]
	*g = (*g)[:last]
	return x
}
