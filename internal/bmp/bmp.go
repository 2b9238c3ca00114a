// Package bmp reads the BMP files that golang.org/x/image/bmp refuses: run
// lengths (RLE8, RLE4), 16 bits a pixel, and channels by bit masks.
package bmp

import (
	"encoding/binary"
	"image"
	"image/color"
	"io"
	"math/bits"
)

// Unsupported is the error of a sound file of a kind that is not read here.
type Unsupported string

func (u Unsupported) Error() string { return string(u) }

// Format is the error of a file that breaks the format.
type Format string

func (f Format) Error() string { return "invalid BMP: " + string(f) }

const (
	rgb, rle8, rle4, masks, alphaMasks = 0, 1, 2, 3, 6
)

type file struct {
	width, height int
	topDown       bool
	bits, kind    int
	masks         [4]uint32
	palette       color.Palette
	pixels        []byte
}

// Config returns the size that a file declares.
func Config(data []byte) (width, height int, err error) {
	f, err := open(data)
	if err != nil {
		return 0, 0, err
	}
	return f.width, f.height, nil
}

func open(data []byte) (*file, error) {
	if len(data) < 54 {
		return nil, io.ErrUnexpectedEOF
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(data[at:]) }
	head := int(u32(14))
	if head < 40 || head > 1024 || 14+head > len(data) {
		return nil, Unsupported("BMP with a header of the first OS/2")
	}
	f := &file{width: int(int32(u32(18))), height: int(int32(u32(22))), bits: int(binary.LittleEndian.Uint16(data[28:])),
		kind: int(u32(30))}
	if f.height < 0 {
		f.height, f.topDown = -f.height, true
	}
	at := 14 + head
	f.masks = [4]uint32{0x7c00, 0x3e0, 0x1f, 0}
	if f.bits == 32 {
		f.masks = [4]uint32{0xff0000, 0xff00, 0xff, 0}
	}
	if f.kind == masks || f.kind == alphaMasks {
		if len(data) < 54+16 {
			return nil, io.ErrUnexpectedEOF
		}
		for i := range 3 {
			f.masks[i] = u32(54 + 4*i)
		}
		if f.kind == alphaMasks || head >= 56 {
			f.masks[3] = u32(66)
		}
		if head == 40 {
			at += 12
		}
	}
	if f.bits <= 8 {
		n := int(min(u32(46), 256))
		if n == 0 {
			n = 1 << f.bits
		}
		for i := 0; i < n && at+4*i+4 <= len(data); i++ {
			c := data[at+4*i:]
			f.palette = append(f.palette, color.RGBA{c[2], c[1], c[0], 255})
		}
	}
	from := u32(10)
	if uint64(from) > uint64(len(data)) {
		return nil, io.ErrUnexpectedEOF
	}
	f.pixels = data[from:]
	return f, nil
}

// Decode returns an *image.Paletted or an *image.NRGBA. Memory: 4 bytes a pixel.
func Decode(data []byte) (image.Image, error) {
	f, err := open(data)
	if err != nil {
		return nil, err
	}
	if f.width <= 0 || f.height <= 0 {
		return nil, Format("no width and height")
	}
	switch {
	case f.kind == rle8 && f.bits == 8, f.kind == rle4 && f.bits == 4:
		return f.runs()
	case f.bits == 16 || f.bits == 32:
		if f.kind == rgb || f.kind == masks || f.kind == alphaMasks {
			return f.masked()
		}
	}
	return nil, Unsupported("BMP of this kind of compression")
}

func (f *file) row(y int) int {
	if f.topDown {
		return y
	}
	return f.height - 1 - y
}

// channel brings the bits of a mask to 0..255.
func channel(v, mask uint32) uint8 {
	if mask == 0 {
		return 0
	}
	shift := bits.TrailingZeros32(mask)
	full := mask >> shift
	return uint8((uint64(v&mask>>shift)*255 + uint64(full)/2) / uint64(full))
}

func (f *file) masked() (image.Image, error) {
	stride := (f.width*f.bits/8 + 3) &^ 3
	if len(f.pixels) < stride*f.height {
		return nil, io.ErrUnexpectedEOF
	}
	m := image.NewNRGBA(image.Rect(0, 0, f.width, f.height))
	seen := false
	for y := range f.height {
		src, dst := f.pixels[y*stride:], m.Pix[f.row(y)*m.Stride:]
		for x := range f.width {
			v := uint32(binary.LittleEndian.Uint16(src[x*f.bits/8:]))
			if f.bits == 32 {
				v = binary.LittleEndian.Uint32(src[4*x:])
			}
			d := dst[4*x : 4*x+4]
			d[0], d[1], d[2], d[3] = channel(v, f.masks[0]), channel(v, f.masks[1]), channel(v, f.masks[2]), 255
			if f.masks[3] != 0 {
				d[3] = channel(v, f.masks[3])
				seen = seen || d[3] != 0
			}
		}
	}
	if f.masks[3] != 0 && !seen { // all transparent: programs that leave the channel empty
		for i := 3; i < len(m.Pix); i += 4 {
			m.Pix[i] = 255
		}
	}
	return m, nil
}

// runs decodes run lengths. What they skip is colour 0.
func (f *file) runs() (image.Image, error) {
	if len(f.palette) == 0 {
		return nil, Format("no palette")
	}
	for len(f.palette) < 256 {
		f.palette = append(f.palette, color.RGBA{A: 255})
	}
	m := image.NewPaletted(image.Rect(0, 0, f.width, f.height), f.palette)
	x, y, b := 0, 0, f.pixels
	put := func(v uint8) {
		if x < f.width && y < f.height {
			m.Pix[f.row(y)*m.Stride+x] = v
		}
		x++
	}
	for y < f.height {
		if len(b) < 2 {
			return nil, io.ErrUnexpectedEOF
		}
		n, v := int(b[0]), b[1]
		b = b[2:]
		switch {
		case n > 0:
			for i := range n {
				put(f.pick(v, i))
			}
		case v == 0:
			x, y = 0, y+1
		case v == 1:
			return m, nil
		case v == 2:
			if len(b) < 2 {
				return nil, io.ErrUnexpectedEOF
			}
			x, y, b = x+int(b[0]), y+int(b[1]), b[2:]
		default: // pixels as they are, in whole words
			size := (int(v)*f.bits + 7) / 8
			if len(b) < (size+1)&^1 {
				return nil, io.ErrUnexpectedEOF
			}
			for i := range int(v) {
				put(f.pick(b[i*f.bits/8], i))
			}
			b = b[(size+1)&^1:]
		}
	}
	return m, nil
}

// pick takes pixel i of a byte.
func (f *file) pick(v uint8, i int) uint8 {
	if f.bits == 8 {
		return v
	}
	return v >> (4 - 4*(i&1)) & 15
}
