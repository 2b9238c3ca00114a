package remote

import (
	"context"
	"io"
	"sync"

	"finetune/internal/reading"
	"finetune/internal/store"
)

const (
	chunk  = 8 << 20 // bytes of a tar that are asked for at once
	chunks = 4       // of one tar that are kept
	open   = 4       // tars that are kept
)

// ahead reads a file in a bucket at any place. Reads that follow each other, even roughly, as
// those of several workers do, are served from chunks: a tar of a gigabyte takes 128 requests
// for its 10,000 photographs. A read elsewhere asks for its own bytes alone.
type ahead struct {
	m    *mount
	name string
	size int64

	mu   sync.Mutex
	kept []*piece // the latest one last
	last int64    // where the latest read ended
}

// piece is a chunk that is there or on its way.
type piece struct {
	from int64
	data []byte
	err  error
	done chan struct{}
}

// At implements tarshard.Source.
func (m *mount) At(p string) (io.ReaderAt, error) {
	name := m.name(p)
	m.mu.Lock()
	for _, a := range m.readers {
		if a.name == name {
			m.mu.Unlock()
			return a, nil
		}
	}
	m.mu.Unlock()
	info, err := m.Stat(p)
	if err != nil {
		return nil, err
	}
	a := &ahead{m: m, name: name, size: info.Size(), last: -chunk}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.readers { // of another worker meanwhile
		if other.name == name {
			return other, nil
		}
	}
	if m.readers = append(m.readers, a); len(m.readers) > open {
		m.readers = m.readers[1:]
	}
	return a, nil
}

// ReadAt implements io.ReaderAt.
func (a *ahead) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		if off >= a.size {
			return n, io.EOF
		}
		var k int
		k, err = a.some(p[n:min(int64(len(p)), int64(n)+a.size-off)], off)
		n, off = n+k, off+int64(k)
	}
	return n, err
}

// some reads at least a byte of p.
func (a *ahead) some(p []byte, off int64) (int, error) {
	c := a.find(off, int64(len(p)))
	if c == nil {
		data, err := a.ask(off, int64(len(p)))
		return copy(p, data), err
	}
	<-c.done
	if c.err != nil {
		a.forget(c)
		return 0, c.err
	}
	return copy(p, c.data[off-c.from:]), nil
}

// find is the chunk with the byte off, nil where its bytes are to be asked for alone.
func (a *ahead) find(off, length int64) *piece {
	a.mu.Lock()
	defer a.mu.Unlock()
	follows := off >= a.last-chunk && off <= a.last+chunk || off == 0
	a.last = off + length
	for _, c := range a.kept {
		if off >= c.from && off < c.from+chunk && off < a.size {
			return c
		}
	}
	if !follows {
		return nil
	}
	c := &piece{from: off - off%chunk, done: make(chan struct{})}
	if a.kept = append(a.kept, c); len(a.kept) > chunks {
		a.kept = a.kept[1:]
	}
	go func() {
		c.data, c.err = a.ask(c.from, min(chunk, a.size-c.from))
		close(c.done)
	}()
	return c
}

// forget drops a chunk that did not come, so that it is asked for again.
func (a *ahead) forget(c *piece) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, k := range a.kept {
		if k == c {
			a.kept = append(a.kept[:i:i], a.kept[i+1:]...)
			return
		}
	}
}

func (a *ahead) ask(off, length int64) (data []byte, err error) {
	err = reading.Steadily(a.m.begin+"/"+a.name, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		data, err = store.Range(ctx, a.m.store, a.name, off, length)
		return fatal(err)
	})
	return data, err
}
