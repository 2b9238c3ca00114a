package activations

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/lock"
	"finetune/internal/reading"
)

const (
	keepBuffer = 16 << 20 // larger files are read twice, not held while they wait
)

// work reads and decodes, decoding first: that frees memory and feeds the body.
func (f *filler) work() {
	window := f.window
	for {
		select {
		case j, ok := <-f.decode:
			if !ok {
				return
			}
			f.decodeOne(j)
			continue
		default:
		}
		select {
		case j, ok := <-f.decode:
			if !ok {
				return
			}
			f.decodeOne(j)
		case <-window:
			at := int(f.next.Add(1)) - 1
			if at >= len(f.items) || f.ctx.Err() != nil {
				window = nil // nothing left to read; go on decoding
				continue
			}
			j := &job{at: at, item: f.items[at]}
			f.timed(func() { f.read(j) })
			f.hashed <- j // never blocks, as decode
		}
	}
}

func (f *filler) decodeOne(j *job) {
	dst := f.image(j)
	if f.ctx.Err() != nil {
		j.err = f.ctx.Err()
	} else {
		f.timed(func() { j.err = f.decodeInto(dst, j) })
		f.storage(j)
	}
	if j.err != nil {
		clear(dst)
	}
	f.drop(j)
	j.batch.pending.Done()
}

func (f *filler) decodeInto(dst []float32, j *job) error {
	if j.data == nil {
		again := &job{item: j.item}
		if data, err := f.readAll(again); err != nil {
			return err
		} else if again.digest = sha256.Sum256(data); again.digest != j.digest {
			return errors.New("changed while it was read")
		} else {
			return f.safely(dst, data, j.item)
		}
	}
	return f.safely(dst, *j.data, j.item)
}

// timed adds the processor time of do to the report.
func (f *filler) timed(do func()) {
	runtime.LockOSThread()
	start := threadTime()
	do()
	f.decodeTime.Add(int64(threadTime() - start))
	runtime.UnlockOSThread()
}

// badFile is a file that Fill refuses before Load sees it.
type badFile struct {
	status, reason string
	cause          error // of the file system, if any
}

func (b *badFile) Error() string                         { return b.reason }
func (b *badFile) Unwrap() error                         { return b.cause }
func (b *badFile) DecodeStatus() (status, reason string) { return b.status, b.reason }

// read hashes the job's file, keeping its bytes unless it is large.
func (f *filler) read(j *job) {
	j.err = reading.Steadily(j.item.File, func() error { return f.readOnce(j) })
	f.storage(j)
	j.item.Digest = j.digest.String()
}

func (f *filler) readOnce(j *job) error {
	file, size, err := openPhoto(j.item.File)
	if err != nil {
		return err
	}
	defer file.Close()
	if size > keepBuffer {
		h := sha256.New()
		if _, err := io.Copy(h, io.LimitReader(file, reading.MaxPhoto)); err != nil {
			return unreadable(err)
		}
		h.Sum(j.digest[:0])
		return nil
	}
	buf := f.buffers.Get().(*[]byte)
	if *buf, err = readInto((*buf)[:0], file, size); err != nil {
		f.buffers.Put(buf)
		return err
	}
	j.data, j.digest = buf, sha256.Sum256(*buf)
	return nil
}

// storage ends it all where the machine is to blame for a job's error: the file
// may be sound, and left out it would be missed without a word.
func (f *filler) storage(j *job) {
	if failure.System(j.err) {
		f.fail(fmt.Errorf("activations: %s: %w", j.item.File, j.err))
	}
}

func (f *filler) readAll(j *job) (data []byte, err error) {
	err = reading.Steadily(j.item.File, func() error {
		file, size, err := openPhoto(j.item.File)
		if err != nil {
			return err
		}
		defer file.Close()
		data, err = readInto(nil, file, size)
		return err
	})
	return data, err
}

// openPhoto opens a plain file, or a member of a tar, of a sensible size. It looks before it opens: a
// pipe would block.
func openPhoto(name string) (io.ReadCloser, int64, error) {
	file, info, err := reading.Photograph(name)
	if err == nil {
		switch {
		case !info.Mode().IsRegular():
			return nil, 0, &badFile{"unreadable", "not a plain file", nil}
		case info.Size() == 0:
			err = &badFile{"empty", "the file is empty", nil}
		case info.Size() > reading.MaxPhoto:
			err = &badFile{"too_large", fmt.Sprintf("%d MB, more than %d MB", info.Size()>>20, reading.MaxPhoto>>20), nil}
		default:
			return file, info.Size(), nil
		}
		_ = file.Close() // nothing was read
		return nil, 0, err
	}
	return nil, 0, unreadable(err)
}

// unreadable is an error of the file system; the report names the file.
func unreadable(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &badFile{"unreadable", err.Error(), err}
}

// readInto reads all of a file into buf, grown as needed; a file that grows
// while it is read is cut at reading.MaxPhoto.
func readInto(buf []byte, file io.Reader, size int64) ([]byte, error) {
	b := bytes.NewBuffer(buf)
	b.Grow(int(size) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(file, reading.MaxPhoto)); err != nil {
		return b.Bytes(), unreadable(err)
	}
	return b.Bytes(), nil
}

// lock waits until no other process fills these same items: it would compute
// the same rows. Processes with other items (the parts of --shard) do not wait.
// The lock only saves work; shards are safe without it, so a file system that
// has no locks is no error.
func (f *filler) lock() error {
	f.release = func() {}
	if err := f.room(); err != nil {
		return err
	}
	h := sha256.New()
	for _, it := range f.items {
		fmt.Fprintf(h, "%s\x00", it.File)
	}
	path := filepath.Join(f.c.dir, "lock-"+hex.EncodeToString(h.Sum(nil)[:8]))
	l := flock.New(path, flock.SetPermissions(0o666))
	var got bool
	err := lock.Plain(path)
	if err == nil {
		got, err = l.TryLock()
	}
	if err == nil && !got {
		f.warn("another process is computing these features; waiting for it")
		_, err = l.TryLockContext(f.ctx, 100*time.Millisecond)
	}
	if err != nil {
		return f.ctx.Err()
	}
	f.release = func() {
		err := os.Remove(path) // while it is held; a waiting process keeps the removed file's lock
		_ = l.Unlock()
		if err != nil { // Windows removes no file that is open, here or in a waiting process
			_ = os.Remove(path)
		}
	}
	return f.c.refresh()
}

// room refuses to start what the disk cannot hold, judged by the rows that are
// surely missing.
func (f *filler) room() error {
	missing := int64(len(f.items) - f.c.Len())
	if err := durable.Room(f.c.dir, missing*int64(f.c.key.Features)*4); err != nil {
		return fmt.Errorf("activations: %w", err)
	}
	return nil
}

func (f *filler) unlock() {
	if f.release != nil {
		f.release()
	}
}

// lastCall picks from a stack the function that panicked.
func lastCall(stack []byte) string {
	_, after, _ := strings.Cut(string(stack), "panic(")
	lines := strings.SplitN(after, "\n", 4)
	if len(lines) < 3 {
		return "unknown place"
	}
	return lines[2]
}
