package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/plural"
	"finetune/internal/reading"
)

// folder is a store on a disk. Links to files are read as those files; links to folders
// within it are not followed.
type folder struct {
	root   string
	window int // names of one folder that List holds at once
}

func (f folder) String() string { return f.root }

func (f folder) Close() error { return nil }

// path is where a file is.
func (f folder) path(name string) (string, error) {
	if err := Check(name); err != nil {
		return "", err
	}
	local, err := filepath.Localize(name)
	if err != nil {
		return "", fmt.Errorf("store: %q cannot be a file's name on this system", name)
	}
	return filepath.Join(f.root, local), nil
}

func (f folder) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	path, _, err := f.regular(ctx, name)
	if err != nil {
		return nil, err
	}
	return reading.File(path, limit)
}

// regular is the path and the description of a file that can be read without waiting.
func (f folder) regular(ctx context.Context, name string) (string, fs.FileInfo, error) {
	path, err := f.path(name)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", nil, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, errNotFolder):
		return "", nil, fmt.Errorf("store: %s: %w", path, fs.ErrNotExist) // a file has the place of its folder
	case err != nil:
		return "", nil, err
	case info.IsDir():
		return "", nil, fmt.Errorf("store: %s: a folder, not a file: %w", path, fs.ErrNotExist)
	case !info.Mode().IsRegular():
		return "", nil, fmt.Errorf("store: %s: not a regular file", path)
	}
	return path, info, nil
}

func (f folder) Stat(ctx context.Context, name string) (Entry, error) {
	_, info, err := f.regular(ctx, name)
	if err != nil {
		return Entry{}, err
	}
	return Entry{name, info.Size(), info.ModTime()}, nil
}

// section is a part of a file.
type section struct {
	io.Reader
	io.Closer
}

func (f folder) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	path, info, err := f.regular(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := within(path, offset, length, info.Size()); err != nil {
		return nil, err
	}
	if length < 0 {
		length = info.Size() - offset
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return section{ended{ctx, io.NewSectionReader(file, offset, length)}, file}, nil
}

// within checks that a file of size bytes has the part that is asked for.
func within(name string, offset, length, size int64) error {
	if offset < 0 || offset > size || length > size-offset {
		return fmt.Errorf("store: %s: %s from %d of a file of %d: %w", name, plural.Count(length, "byte"), offset, size,
			io.ErrUnexpectedEOF)
	}
	return nil
}

// ended is a reader that ends with its context.
type ended struct {
	ctx context.Context
	io.Reader
}

func (e ended) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.Reader.Read(p)
}

func (f folder) Put(ctx context.Context, name string, fill Fill) error {
	return f.put(ctx, name, fill, durable.Write)
}

func (f folder) PutIfAbsent(ctx context.Context, name string, fill Fill) error {
	return f.put(ctx, name, fill, durable.WriteNew)
}

func (f folder) put(ctx context.Context, name string, fill Fill,
	write func(string, func(io.Writer) error) error) error {
	path, err := f.path(name)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return write(path, func(w io.Writer) error {
		if err := fill(w); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// Delete leaves a folder alone: it is no file.
func (f folder) Delete(ctx context.Context, name string) error {
	path, _, err := f.regular(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.Remove(path)
}

func (f folder) List(ctx context.Context, prefix string, visit func(Entry) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	at := prefix[:strings.LastIndexByte(prefix, '/')+1]
	err := f.list(ctx, at, prefix, visit)
	if errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}
