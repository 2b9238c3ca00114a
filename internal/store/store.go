// Package store keeps whole files by name in a folder or in a bucket.
//
// A job's folder and its inputs may be on a disk or in an object store; those who use
// them see the same properties on both:
//
//   - a file appears whole or not at all, however its writer ends;
//   - of many writers with IfAbsent at once, one gives the file its name;
//   - lists come in the order of names, in memory that does not grow with them.
//
// A folder's files are written through package durable. Buckets are reached through
// gocloud.dev: s3:// in every build, gs:// and azblob:// with the build tags gcs and
// azure. Credentials come from the platform (environment, profile, role of the machine),
// never from a URL.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"finetune/internal/failure"
	"finetune/internal/plural"
)

// Entry is a file of a store.
type Entry struct {
	Name     string // within the store, with slashes
	Size     int64  // bytes
	Modified time.Time
}

// Fill writes a file's bytes. It may be called again from the start, where a store asks
// for another try.
type Fill func(w io.Writer) error

// Store is a folder or a bucket. Names are relative, with slashes; Check says which are
// allowed. Errors name the file and wrap fs.ErrNotExist where there is none,
// fs.ErrPermission where it may not be read or written. All methods may be called at
// once, and end early with ctx.
type Store interface {
	// Get is a whole file of at most limit bytes.
	Get(ctx context.Context, name string, limit int64) ([]byte, error)
	// Open reads length bytes from offset, to the end where length is negative. A file
	// that is shorter is io.ErrUnexpectedEOF.
	Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)
	// Put writes a file, in the place of one that is there.
	Put(ctx context.Context, name string, fill Fill) error
	// PutIfAbsent writes a file unless it is there: then the error wraps fs.ErrExist.
	PutIfAbsent(ctx context.Context, name string, fill Fill) error
	// List visits the files whose names begin with prefix, which need not end at a slash,
	// in the order of their bytes. fs.SkipAll from visit ends it without an error. Files
	// that appear or go meanwhile may be visited or not. A prefix without files is none.
	List(ctx context.Context, prefix string, visit func(Entry) error) error
	// Stat describes a file.
	Stat(ctx context.Context, name string) (Entry, error)
	// Delete removes a file; none is fine.
	Delete(ctx context.Context, name string) error
	// String is the path or the URL.
	String() string
	// Close gives the connections back.
	Close() error
}

// Bytes fills a file with data.
func Bytes(data []byte) Fill {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

// IsURL reports whether place names a bucket, not a path.
func IsURL(place string) bool { return strings.Contains(place, "://") }

// Open is the store at place: a path of a folder, which need not be there yet, or a URL
// such as s3://BUCKET/PATH?region=R&endpoint=https://HOST&use_path_style=true. Nothing
// is read or written yet. Errors about place are usage errors (package failure).
func Open(ctx context.Context, place string) (Store, error) {
	if place == "" {
		return nil, failure.Usage(errors.New("store: no folder given; name a folder or a bucket such as s3://BUCKET/PATH"))
	}
	if !IsURL(place) {
		return folder{root: place, window: window}, nil
	}
	return openBucket(ctx, place)
}

// Range is length bytes of a file from offset.
func Range(ctx context.Context, s Store, name string, offset, length int64) ([]byte, error) {
	if length < 0 {
		return nil, fmt.Errorf("store: %s: %s asked for", name, plural.Count(length, "byte"))
	}
	r, err := s.Open(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("store: %s: %s from %d: %w", name, plural.Count(length, "byte"), offset, err)
	}
	return data, nil
}

// Exists reports whether a file is there.
func Exists(ctx context.Context, s Store, name string) (bool, error) {
	_, err := s.Stat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
