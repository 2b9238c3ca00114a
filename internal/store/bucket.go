package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"finetune/internal/failure"
	"finetune/internal/plural"
)

// bucket is a store in an object store.
type bucket struct {
	*blob.Bucket
	place string // URL, for messages
	kind  kind
}

// kind is what object stores differ in.
type kind struct {
	open func(ctx context.Context, u address) (*blob.Bucket, error)
	// refused reports that a store does not know writes with a condition.
	refused func(error) bool
	// conflict reports that another write to the name was under way: try again.
	conflict func(error) bool
	// past reports that a range begins behind the end of a file.
	past func(error) bool
	// cause is what a person can do about an error, "" for nothing special.
	cause func(error) string
	// cancel: an upload is given up by its context. Otherwise by an error of its reader,
	// after which parts that were sent are taken back.
	cancel bool
}

const (
	contentType = "application/octet-stream"
	conflicts   = 5 // tries of a write that meets others
)

func (b bucket) String() string { return b.place }

// fails adds place, file and what to do to an error.
func (b bucket) fails(name string, err error) error {
	if err == nil {
		return nil
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		if why := b.kind.cause(err); why == "" {
			return fmt.Errorf("store: %s: %s: %w", b.place, name, fs.ErrNotExist)
		}
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return fmt.Errorf("store: %s: %s: %w", b.place, name, fs.ErrExist)
	case gcerrors.PermissionDenied:
		if why := b.kind.cause(err); why != "" {
			break
		}
		return fmt.Errorf("store: %s: %s: %w; check that these credentials may read and write there: %w", b.place, name,
			fs.ErrPermission, err)
	}
	if b.kind.past(err) {
		return fmt.Errorf("store: %s: %s: %w", b.place, name, io.ErrUnexpectedEOF)
	}
	if why := b.kind.cause(err); why != "" {
		return failure.Usage(fmt.Errorf("store: %s: %s: %s: %w", b.place, name, why, err))
	}
	err = fmt.Errorf("store: %s: %s: %w", b.place, name, err)
	if errors.Is(err, context.Canceled) {
		return err
	}
	return failure.Passing(err) // of the network or the service: the same call may succeed later
}

func (b bucket) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	r, err := b.Open(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, b.fails(name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("store: %s: %s: more than %s", b.place, name, plural.Count(limit, "byte"))
	}
	return data, nil
}

func (b bucket) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := Check(name); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, within(name, offset, length, 0)
	}
	if length == 0 { // an object store has no empty range, and none at all of an empty file
		e, err := b.Stat(ctx, name)
		if err == nil {
			err = within(name, offset, length, e.Size)
		}
		return io.NopCloser(strings.NewReader("")), err
	}
	r, err := b.NewRangeReader(ctx, name, offset, length, nil)
	if err != nil {
		return nil, b.fails(name, err)
	}
	if err := within(name, offset, length, r.Size()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return body{r, b, name}, nil
}

// body names the file in errors that come while it is read.
type body struct {
	*blob.Reader
	b    bucket
	name string
}

// Read implements io.Reader.
func (r body) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = r.b.fails(r.name, err)
	}
	return n, err
}

// Describe is what a file was when it was opened.
func (r body) Describe() Entry { return Entry{r.name, r.Size(), r.ModTime()} }

func (b bucket) Stat(ctx context.Context, name string) (Entry, error) {
	if err := Check(name); err != nil {
		return Entry{}, err
	}
	a, err := b.Attributes(ctx, name)
	if err != nil {
		return Entry{}, b.fails(name, err)
	}
	return Entry{name, a.Size, a.ModTime}, nil
}

func (b bucket) Delete(ctx context.Context, name string) error {
	if err := Check(name); err != nil {
		return err
	}
	if err := b.Bucket.Delete(ctx, name); gcerrors.Code(err) != gcerrors.NotFound {
		return b.fails(name, err)
	}
	return nil
}

func (b bucket) List(ctx context.Context, prefix string, visit func(Entry) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	for it := b.Bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return b.fails(prefix, err)
		}
		if o.Key == "" || o.Key[len(o.Key)-1] == '/' { // a mark that consoles leave for an empty folder
			continue
		}
		if err := visit(Entry{o.Key, o.Size, o.ModTime}); errors.Is(err, fs.SkipAll) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (b bucket) Put(ctx context.Context, name string, fill Fill) error {
	if err := Check(name); err != nil {
		return err
	}
	return b.fails(name, b.upload(ctx, name, fill, false))
}

// PutIfAbsent asks first, which spares an upload and serves stores that ignore the
// condition; there, and where it is refused, two writers at once may both succeed. The
// file is whole even then.
func (b bucket) PutIfAbsent(ctx context.Context, name string, fill Fill) error {
	if err := Check(name); err != nil {
		return err
	}
	for try := 1; ; try++ {
		there, err := Exists(ctx, b, name)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("store: %s: %s: %w", b.place, name, fs.ErrExist)
		}
		err = b.upload(ctx, name, fill, true)
		if err != nil && b.kind.refused(err) {
			return b.Put(ctx, name, fill)
		}
		if err == nil || !b.kind.conflict(err) || try == conflicts {
			return b.fails(name, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		}
	}
}

// upload sends what fill writes; the object appears when all of it is there.
func (b bucket) upload(ctx context.Context, name string, fill Fill, absent bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	filled := make(chan error, 1)
	go func() {
		err := fill(w)
		if err != nil && b.kind.cancel {
			cancel()
		}
		_ = w.CloseWithError(err) // a nil error is the end; it returns nil
		filled <- err
	}()
	err := b.Upload(ctx, name, r, &blob.WriterOptions{ContentType: contentType, IfNotExist: absent})
	_ = r.CloseWithError(errStopped) // lets fill end, where the upload did before it
	if e := <-filled; e != nil && !errors.Is(e, errStopped) {
		return e
	}
	return err
}

// errStopped is what a Fill sees when its upload has ended without it.
var errStopped = errors.New("the upload was given up")
