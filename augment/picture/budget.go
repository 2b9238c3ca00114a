package picture

import (
	"bytes"
	"context"
	"io"

	"golang.org/x/sync/semaphore"
)

// memory is what all decodes of this process may take together, so that several
// of the largest photographs at once do not exhaust a machine. A larger one is
// decoded alone.
const memory = 2 << 30

var room = semaphore.NewWeighted(memory)

// setAside waits until there is memory for a decode; done gives it back.
func setAside(ctx context.Context, n int64) (done func(), err error) {
	n = max(1, min(n, memory))
	if err := room.Acquire(ctx, n); err != nil {
		return func() {}, err
	}
	return func() { room.Release(n) }, nil
}

// reader hands a file to a decoder in pieces, and stops when the context ends:
// decoders read as they go on.
type reader struct {
	ctx   context.Context
	data  bytes.Reader
	piece int
}

func newReader(ctx context.Context, data []byte) io.Reader {
	if ctx.Done() == nil {
		return bytes.NewReader(data)
	}
	r := &reader{ctx: ctx, piece: max(64, min(len(data)/64, 1<<16))} // a small file can be a large picture
	r.data.Reset(data)
	return r
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.data.Read(p[:min(len(p), r.piece)])
}
