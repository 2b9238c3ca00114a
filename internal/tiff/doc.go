// Package tiff reads TIFF and BigTIFF files as photographs.
//
// golang.org/x/image/tiff, which was here before, inverts bilevel fax pages,
// and has no planes, no fourth band, no CMYK, no floating point and no JPEG.
// Read here: 1 to 32 bits an integer sample, floating point, grey, RGB, palette,
// CMYK and YCbCr, with alpha or other samples beside them, in strips or tiles,
// interleaved or plane by plane, uncompressed or by PackBits, LZW, Deflate,
// Zstandard, CCITT group 3 and 4, or JPEG (TIFF 6.0; Adobe's technical notes).
package tiff

import (
	"encoding/binary"
	"fmt"
	"io"

	"finetune/internal/plural"
)

// Unsupported is the error of a sound file of a kind that is not read here.
type Unsupported string

func (u Unsupported) Error() string { return string(u) }

// Format is the error of a file that breaks the format.
type Format string

func (f Format) Error() string { return "invalid TIFF: " + string(f) }

// Samples are decoded pixels, row by row, the channels of a pixel together: grey,
// grey and alpha, RGB, or RGB and alpha. One of the three slices is set.
type Samples struct {
	Width, Height, Channels int
	Premultiplied           bool // by alpha
	Bytes                   []uint8
	Words                   []uint16
	Floats                  []float32 // 32-bit integers and floating point, as stored
	Full                    float32   // of Floats, what white is: 1 for floating point
}

// Page is one directory of a file.
type Page struct {
	Width, Height int
	Orientation   int
	// a whole JPEG file that is the picture, as raw files hold previews; no other field then but Orientation counts
	JPEG []byte

	data                               []byte
	order                              binary.ByteOrder
	bits, format, samples, extra       int
	photometric, compression, planar   int
	predictor, fill, subfile           int
	premultiplied, alpha               bool
	across, down, blockWide, blockHigh int // strips or tiles
	offsets, counts                    []uint64
	palette                            []uint64
	tables                             []byte
	mode2D                             bool
	subsampled                         bool
	sub                                []uint64
	err                                error
}

const (
	maxPages  = 64 // directories that are looked at
	maxBlocks = 1 << 22
)

// Open picks the page to show: the first, or, where that is a reduced picture or
// one that is not read here, as in the raw files of cameras, the largest other one.
func Open(data []byte) (*Page, error) {
	f, err := newFile(data)
	if err != nil {
		return nil, err
	}
	var pages []*Page
	queue, seen := []uint64{f.first}, map[uint64]bool{}
	for len(queue) > 0 && len(seen) < maxPages {
		at := queue[0]
		queue = queue[1:]
		if at == 0 || seen[at] {
			continue
		}
		seen[at] = true
		p, next, err := f.page(at)
		if err != nil {
			if len(pages) == 0 {
				return nil, err
			}
			continue
		}
		if pages = append(pages, p); len(pages) == 1 && p.err == nil && p.subfile&1 == 0 {
			return p, nil
		}
		queue = append(append(queue, p.sub...), next)
	}
	if len(pages) == 0 {
		return nil, Format("no directory")
	}
	return largest(pages)
}

func largest(pages []*Page) (*Page, error) {
	best, size := pages[0], -1
	for _, p := range pages {
		if n := p.Width * p.Height; p.err == nil && n > size {
			best, size = p, n
		}
	}
	if best.err != nil {
		return nil, best.err
	}
	if best.Orientation == 0 {
		best.Orientation = pages[0].Orientation
	}
	return best, nil
}

// file is a TIFF whose header is read.
type file struct {
	data  []byte
	order binary.ByteOrder
	big   bool
	first uint64
}

func newFile(data []byte) (*file, error) {
	if len(data) < 16 {
		return nil, io.ErrUnexpectedEOF
	}
	f := &file{data: data, order: binary.LittleEndian}
	if data[0] == 'M' {
		f.order = binary.BigEndian
	}
	switch f.order.Uint16(data[2:]) {
	case 42:
		f.first = uint64(f.order.Uint32(data[4:]))
	case 43:
		f.big, f.first = true, f.order.Uint64(data[8:])
	default:
		return nil, Format("no version number")
	}
	return f, nil
}

// field is one entry of a directory.
type field struct {
	kind  int
	bytes []byte // of the values
	order binary.ByteOrder
}

var sizes = [...]int{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8}

// ints returns the values of a field of integers.
func (f field) ints() []uint64 {
	size := sizes[f.kind]
	out := make([]uint64, 0, len(f.bytes)/max(size, 1))
	for b := f.bytes; size > 0 && len(b) >= size; b = b[size:] {
		switch size {
		case 1:
			out = append(out, uint64(b[0]))
		case 2:
			out = append(out, uint64(f.order.Uint16(b)))
		case 4:
			out = append(out, uint64(f.order.Uint32(b)))
		case 8:
			out = append(out, f.order.Uint64(b))
		}
	}
	return out
}

// fields reads the directory at an offset; next is where the one after it stands.
func (f *file) fields(at uint64) (fields map[int]field, next uint64, err error) {
	count, entry, word := 2, 12, 4
	if f.big {
		count, entry, word = 8, 20, 8
	}
	if at > uint64(len(f.data)) || uint64(len(f.data))-at < uint64(count) {
		return nil, 0, io.ErrUnexpectedEOF
	}
	b := f.data[at:]
	n := uint64(f.order.Uint16(b))
	if f.big {
		n = f.order.Uint64(b)
	}
	if b = b[count:]; n > 4096 {
		return nil, 0, Format(fmt.Sprintf("directory of %s", plural.Count(n, "field")))
	}
	if uint64(len(b)) < n*uint64(entry) {
		return nil, 0, io.ErrUnexpectedEOF
	}
	fields = map[int]field{}
	for ; n > 0; n, b = n-1, b[entry:] {
		tag, kind := int(f.order.Uint16(b)), int(f.order.Uint16(b[2:]))
		if kind >= len(sizes) || sizes[kind] == 0 {
			continue
		}
		values, num := b[4+word:4+2*word], f.word(b[4:])
		if num > uint64(len(f.data)) {
			continue // more values than bytes
		}
		if need := num * uint64(sizes[kind]); need > uint64(word) {
			from := f.word(values)
			if from > uint64(len(f.data)) || need > uint64(len(f.data))-from {
				continue // as missing; what is needed is told by name
			}
			values = f.data[from : from+need]
		} else {
			values = values[:need]
		}
		if _, twice := fields[tag]; !twice {
			fields[tag] = field{kind, values, f.order}
		}
	}
	if len(b) >= word {
		next = f.word(b)
	}
	return fields, next, nil
}

// word is a count or an offset.
func (f *file) word(b []byte) uint64 {
	if f.big {
		return f.order.Uint64(b)
	}
	return uint64(f.order.Uint32(b))
}
