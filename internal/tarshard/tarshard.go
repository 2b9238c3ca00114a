// Package tarshard reads photographs and their labels out of tar files, as the library
// webdataset lays them out.
//
// Members whose names agree up to the first dot of the file name are one sample:
// a/0001.jpg, a/0001.cls and a/0001.json. A shard is read in a stream (Stream), or by
// offset: Index passes over the headers once, and any photograph is then a part of the
// file. Names are names alone: no member ever becomes a file.
package tarshard

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"finetune/internal/failure"
	"finetune/internal/plural"
)

// Limits of what a shard may hold.
const (
	MaxPhoto   = 256 << 20 // bytes of a photograph
	MaxLabel   = 1 << 20   // bytes of a label's member
	MaxMembers = 1 << 24
)

// Member is a regular file within a shard.
type Member struct {
	Name   string
	Offset int64 // of its first byte; in a stream too, behind the compression if there is one
	Size   int64 // bytes
}

// Index lists the regular files of a tar of size bytes in their order. Errors name the
// byte and are marked failure.Data.
func Index(ctx context.Context, r io.ReaderAt, size int64) ([]Member, error) {
	magic := make([]byte, 2)
	if n, _ := r.ReadAt(magic, 0); n == 2 && compressed(magic) {
		return nil, failure.Data(errors.New("tarshard: compressed with gzip, so that it has no offsets; " +
			"read it in a stream, or unpack it with gunzip"))
	}
	section := io.NewSectionReader(r, 0, size)
	var list []Member
	err := walk(section, func() int64 { at, _ := section.Seek(0, io.SeekCurrent); return at },
		func(m Member, _ io.Reader) error {
			if m.Size > size-m.Offset {
				return failure.Data(fmt.Errorf("tarshard: the file ends at byte %d, within %q, which needs %s from %d; "+
					"copy it again", size, m.Name, plural.Count(m.Size, "byte"), m.Offset))
			}
			list = append(list, m)
			return ctx.Err()
		})
	return list, err
}

func compressed(magic []byte) bool { return magic[0] == 0x1f && magic[1] == 0x8b }

// counting tells how many bytes were read.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// walk visits the regular members of a tar. at is where r stands.
func walk(r io.Reader, at func() int64, visit func(Member, io.Reader) error) error {
	t := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, tar.ErrInsecurePath) { // a name alone
			err = nil
		}
		switch {
		case errors.Is(err, io.EOF):
			if n == 0 && at() == 0 {
				return failure.Data(errors.New("tarshard: an empty file, not a tar"))
			}
			return nil
		case err != nil:
			return damage(err, at(), "")
		case n == MaxMembers:
			return failure.Data(fmt.Errorf("tarshard: more than %d members; divide it into smaller shards", MaxMembers))
		case sparse(h):
			return failure.Data(fmt.Errorf("tarshard: %q, before byte %d, is a sparse file; make the tar without that option",
				h.Name, at()))
		case h.Typeflag != tar.TypeReg: // folders, links, devices
			continue
		}
		if err := visit(Member{h.Name, at(), h.Size}, t); err != nil {
			return err
		}
	}
}

// damage adds the byte to an error of the bytes; one of the machine stays what it is.
func damage(err error, at int64, name string) error {
	if name != "" {
		name = fmt.Sprintf(", within %q", name)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return failure.Data(fmt.Errorf("tarshard: the file ends early at byte %d%s; copy it again: %w", at, name,
			io.ErrUnexpectedEOF))
	}
	if failure.System(err) || failure.KindOf(err) == failure.Interrupted {
		return fmt.Errorf("tarshard: at byte %d%s: %w", at, name, err)
	}
	return failure.Data(fmt.Errorf("tarshard: damaged near byte %d%s; copy it again: %w", at, name, err))
}

func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// Stream visits the samples of a tar, which may be compressed with gzip, in the order of
// their photographs. A sample's bytes are the visitor's to keep.
func Stream(r io.Reader, visit func(Sample) error) error {
	b := bufio.NewReaderSize(r, 1<<16)
	if magic, err := b.Peek(2); err == nil && compressed(magic) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return damage(err, 0, "")
		}
		r = z
	} else {
		r = b
	}
	c := &counting{r: r}
	g := grouper{visit: visit}
	err := walk(c, func() int64 { return c.n }, func(m Member, r io.Reader) error {
		return g.add(m, func() ([]byte, error) {
			data, err := io.ReadAll(r)
			if err != nil {
				return nil, damage(err, c.n, m.Name)
			}
			return data, nil
		})
	})
	if err != nil {
		return err
	}
	return g.end()
}

// Samples are those of an index, without the bytes of photographs. read returns a
// member's bytes and is called for labels alone.
func Samples(members []Member, read func(Member) ([]byte, error)) ([]Sample, error) {
	var list []Sample
	g := grouper{lazy: true, visit: func(s Sample) error { list = append(list, s); return nil }}
	for _, m := range members {
		if err := g.add(m, func() ([]byte, error) { return read(m) }); err != nil {
			return nil, err
		}
	}
	return list, g.end()
}

// Read is a member's bytes.
func Read(r io.ReaderAt, m Member) ([]byte, error) {
	if m.Size < 0 || m.Size > MaxPhoto {
		return nil, failure.Data(fmt.Errorf("tarshard: %q: %s, more than %d", m.Name, plural.Count(m.Size, "byte"), MaxPhoto))
	}
	data := make([]byte, m.Size)
	if _, err := io.ReadFull(io.NewSectionReader(r, m.Offset, m.Size), data); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, damage(err, m.Offset, m.Name)
		}
		return nil, err
	}
	return data, nil
}
