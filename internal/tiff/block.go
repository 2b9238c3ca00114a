package tiff

import (
	"bytes"
	"compress/zlib"
	"context"
	"io"
	"math/bits"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// JPEG decodes a JPEG file to interleaved samples [h, w, channels]; ycc says
// that three components are YCbCr, to become RGB.
type JPEG func(ctx context.Context, data []byte, ycc bool) (pix []uint8, w, h, channels int, err error)

// raw returns the bytes of a strip or tile, as stored.
func (p *Page) raw(i int) ([]byte, error) {
	from, n := p.offsets[i], p.counts[i]
	if from > uint64(len(p.data)) || n > uint64(len(p.data))-from {
		return nil, io.ErrUnexpectedEOF
	}
	b := p.data[from : from+n]
	if p.fill == 2 {
		turned := make([]byte, len(b))
		for i, v := range b {
			turned[i] = bits.Reverse8(v)
		}
		b = turned
	}
	return b, nil
}

// unpack decompresses a strip or tile of rows that hold stride bytes into dst.
func (p *Page) unpack(dst []byte, i, wide, rows int) error {
	b, err := p.raw(i)
	if err != nil {
		return err
	}
	var r io.Reader = bytes.NewReader(b)
	switch p.compression {
	case plain:
		if len(b) < len(dst) {
			return io.ErrUnexpectedEOF
		}
		copy(dst, b)
		return nil
	case packBits:
		return unpackBits(dst, b)
	case lzwCode:
		l := lzw.NewReader(r, lzw.MSB, 8)
		defer l.Close()
		r = l
	case deflate, oldDeflate:
		z, err := zlib.NewReader(r)
		if err != nil {
			return err
		}
		defer z.Close()
		r = z
	case zstandard:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return err
		}
		defer z.Close()
		r = z
	case group3, group4:
		kind := ccitt.Group4
		if p.compression == group3 {
			if kind = ccitt.Group3; p.mode2D {
				return Unsupported("TIFF of two-dimensional CCITT group 3")
			}
		}
		// Inverted from ccitt's default, bits are those of libtiff: 0 is white, and
		// the photometric interpretation then means what it does elsewhere.
		r = ccitt.NewReader(r, ccitt.MSB, kind, wide, rows, &ccitt.Options{Invert: true})
	}
	if _, err := io.ReadFull(r, dst); err != nil {
		return err
	}
	return nil
}

func unpackBits(dst, src []byte) error {
	for len(dst) > 0 {
		if len(src) < 2 {
			return io.ErrUnexpectedEOF
		}
		n := int(int8(src[0]))
		switch src = src[1:]; {
		case n >= 0:
			n = min(n+1, len(dst))
			if n > len(src) {
				return io.ErrUnexpectedEOF
			}
			copy(dst, src[:n])
			src = src[n:]
		case n == -128:
			continue
		default:
			n = min(1-n, len(dst))
			for i := range dst[:n] {
				dst[i] = src[0]
			}
			src = src[1:]
		}
		dst = dst[n:]
	}
	return nil
}

// predict undoes the differences within a row of n samples a pixel.
func (p *Page) predict(row []byte, n int) {
	switch {
	case p.predictor == 3:
		p.predictFloat(row, n)
	case p.predictor != 2:
	case p.bits == 8:
		for i := n; i < len(row); i++ {
			row[i] += row[i-n]
		}
	case p.bits == 16:
		for i := 2 * n; i+1 < len(row); i += 2 {
			p.order.PutUint16(row[i:], p.order.Uint16(row[i:])+p.order.Uint16(row[i-2*n:]))
		}
	case p.bits == 32:
		for i := 4 * n; i+3 < len(row); i += 4 {
			p.order.PutUint32(row[i:], p.order.Uint32(row[i:])+p.order.Uint32(row[i-4*n:]))
		}
	}
}

// predictFloat undoes Adobe's predictor of floating point: differences of bytes,
// the highest byte of all samples first.
func (p *Page) predictFloat(row []byte, n int) {
	for i := n; i < len(row); i++ {
		row[i] += row[i-n]
	}
	size := p.bits / 8
	count := len(row) / size
	planes := bytes.Clone(row)
	for i := range count {
		for b := range size {
			at := b // big-endian
			if p.order.String() == "LittleEndian" {
				at = size - 1 - b
			}
			row[i*size+at] = planes[b*count+i]
		}
	}
}
