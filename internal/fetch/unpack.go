package fetch

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"finetune/internal/plural"
)

// Limits of an archive. The largest we fetch, cuDNN's, has 40 entries and
// unpacks to about 1.2 GB; the solar cells have 2,633 entries.
const (
	maxEntries = 20_000
	maxEntry   = 2 << 30 // bytes
	maxTotal   = 4 << 30 // bytes
)

// ErrArchive says that an archive is damaged, or not one that can be trusted.
var ErrArchive = errors.New("not a usable archive")

// Entries walks the regular files of the archive at file (zip, wheel or tar.gz,
// told by content) in their order and hands each to visit with its slash path.
// A path that is absolute or climbs out with "..", a link, too many entries or
// too many bytes is an error that wraps ErrArchive and names the file: such an
// archive is refused whole, even where visit would not have wanted the entry.
func Entries(file string, visit func(name string, size int64, r io.Reader) error) error {
	return entries(file, limits{maxEntries, maxEntry, maxTotal}, visit)
}

type limits struct {
	entries      int
	entry, total int64
}

// check counts one more entry against the limits.
func (l *limits) check(name string, size int64) error {
	clean := path.Clean(name)
	switch {
	case name == "" || path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") ||
		strings.ContainsAny(name, "\\\x00:"):
		return fmt.Errorf("%w: entry %q would land outside", ErrArchive, name)
	case l.entries == 0:
		return fmt.Errorf("%w: too many entries", ErrArchive)
	case size < 0 || size > l.entry || size > l.total:
		return fmt.Errorf("%w: entry %q of %d MB is too large", ErrArchive, name, size>>20)
	}
	l.entries--
	l.total -= size
	return nil
}

func entries(file string, l limits, visit func(name string, size int64, r io.Reader) error) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer f.Close()
	magic := make([]byte, 2)
	if _, err := io.ReadFull(f, magic); err != nil {
		return fmt.Errorf("fetch: %s: %w: %s", file, ErrArchive, plural.Count(size(file), "byte"))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	switch string(magic) {
	case "PK":
		err = zipEntries(f, l, visit)
	case "\x1f\x8b":
		err = tarEntries(f, l, visit)
	default:
		err = fmt.Errorf("%w: neither zip nor tar.gz", ErrArchive)
	}
	if err != nil {
		return fmt.Errorf("fetch: %s: %w", file, err)
	}
	return nil
}

func zipEntries(f *os.File, l limits, visit func(string, int64, io.Reader) error) error {
	z, err := zip.NewReader(f, size(f.Name()))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrArchive, err)
	}
	for _, e := range z.File {
		if e.Mode().IsDir() {
			continue
		}
		if !e.Mode().IsRegular() {
			return fmt.Errorf("%w: entry %q is a link or a device", ErrArchive, e.Name)
		}
		if e.UncompressedSize64 > maxTotal {
			return fmt.Errorf("%w: entry %q is too large", ErrArchive, e.Name)
		}
		if err := l.check(e.Name, int64(e.UncompressedSize64)); err != nil {
			return err
		}
		r, err := e.Open()
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrArchive, e.Name, err)
		}
		err = visit(e.Name, int64(e.UncompressedSize64), r)
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func tarEntries(f *os.File, l limits, visit func(string, int64, io.Reader) error) error {
	unzipped, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrArchive, err)
	}
	t := tar.NewReader(unzipped)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			err = l.check(h.Name, h.Size)
		case tar.TypeSymlink, tar.TypeLink:
			// Release archives name the library's versions by links; a link is never made, only counted.
			err = l.check(h.Name, 0)
		default:
			continue
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := visit(h.Name, h.Size, t); err != nil {
			return err
		}
	}
}
