// Package heif reads HEIC and AVIF photographs, which telephones write.
//
// The container (ISO/IEC 23008-12) is read here. The pictures are decoded by
// libheif with libde265, and by libavif, which are programs of WebAssembly that
// run inside the process, without C: the modules gen2brain/heic and gen2brain/avif
// carry them, and wazero compiles them when the first such file is read. They
// can neither see nor write anything but the file; their memory is bounded by
// the size of the picture, and they end with the context.
package heif

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Unsupported is the error of a sound file of a kind that is not read here.
type Unsupported string

func (u Unsupported) Error() string { return string(u) }

// Format is the error of a file that breaks the format.
type Format string

func (f Format) Error() string { return "invalid HEIF: " + string(f) }

// Container is a file whose description has been read.
type Container struct {
	AVIF          bool  // AV1; else HEVC
	Width, Height int   // of the primary picture as it is stored
	CutWidth      int   // what a HEIC file shows of it, before it is turned: its width
	CutHeight     int   // and its height
	Coded         int64 // pixels of all the pictures that make it up
	Rotate        int   // quarter turns counter-clockwise, to do after decoding where AVIF is true
	Mirror        Mirror
	Matrix        int  // of YCbCr (ITU-T H.273), 6 where the file does not say
	FullRange     bool // samples are 0 to 255

	data []byte
}

// Mirror is what the property imir asks for, after the turn.
type Mirror int

// The mirrors.
const (
	NoMirror Mirror = iota
	TopBottom
	LeftRight
)

const (
	maxItems = 1 << 16
	maxTiles = 1 << 12
)

// box is one of a file's: a kind of four letters and a body.
type box struct {
	kind string
	body []byte
}

// boxes splits data into boxes. whole is false where the last one is cut.
func boxes(data []byte) (list []box, whole bool) {
	for len(data) >= 8 {
		size, head := uint64(binary.BigEndian.Uint32(data)), uint64(8)
		switch {
		case size == 0:
			size = uint64(len(data))
		case size == 1 && len(data) >= 16:
			size, head = binary.BigEndian.Uint64(data[8:]), 16
		}
		if size < head || size > uint64(len(data)) || len(list) > maxItems {
			return list, false
		}
		list = append(list, box{string(data[4:8]), data[head:size]})
		data = data[size:]
	}
	return list, len(data) == 0
}

// item is a picture, or what makes one up.
type item struct {
	kind       string
	properties []box
	parts      []uint32 // of a grid or an overlay
}

// Open reads the description of the primary picture.
func Open(data []byte) (*Container, error) {
	top, whole := boxes(data)
	for _, b := range top {
		if b.kind == "meta" && len(b.body) > 4 {
			if !whole {
				return nil, io.ErrUnexpectedEOF
			}
			return open(data, b.body[4:])
		}
	}
	if !whole {
		return nil, io.ErrUnexpectedEOF
	}
	return nil, Unsupported("HEIF without a still picture")
}

func open(data, meta []byte) (*Container, error) {
	m, err := readMeta(meta)
	if err != nil {
		return nil, err
	}
	c := &Container{Matrix: 6, FullRange: true, data: data}
	it := m.items[m.primary]
	if it == nil {
		return nil, Format("no primary picture")
	}
	codec := it.kind
	if len(it.parts) > 0 {
		if first := m.items[it.parts[0]]; first != nil {
			codec = first.kind
		}
	}
	switch {
	case codec == "av01":
		c.AVIF = true
	case codec != "hvc1":
		return nil, Unsupported(fmt.Sprintf("HEIF of pictures coded as %q", codec))
	case m.alpha[m.primary]:
		return nil, Unsupported("HEIC with transparency")
	}
	for _, p := range it.properties {
		c.property(p)
	}
	for _, id := range it.parts {
		if part := m.items[id]; part != nil {
			w, h := part.size()
			c.Coded += int64(w) * int64(h)
		}
	}
	if c.Width == 0 || c.Height == 0 {
		return nil, Format("no size of the primary picture")
	}
	if w, h := c.CutWidth, c.CutHeight; c.AVIF || w <= 0 || h <= 0 || w > c.Width || h > c.Height {
		c.CutWidth, c.CutHeight = c.Width, c.Height
	}
	if n := int64(c.Width) * int64(c.Height); len(it.parts) == 0 || c.Coded < n {
		c.Coded = max(c.Coded, n)
	}
	return c, nil
}

func (c *Container) property(p box) {
	switch b := p.body; {
	case p.kind == "ispe":
		c.Width, c.Height = size(b)
	case p.kind == "clap" && len(b) >= 16: // two fractions
		u32 := binary.BigEndian.Uint32
		if across, down := u32(b[4:]), u32(b[12:]); across > 0 && down > 0 {
			c.CutWidth, c.CutHeight = int(u32(b)/across), int(u32(b[8:])/down)
		}
	case p.kind == "irot" && len(b) >= 1:
		c.Rotate = int(b[0] & 3)
	case p.kind == "imir" && len(b) >= 1:
		c.Mirror = TopBottom
		if b[0]&1 == 1 {
			c.Mirror = LeftRight
		}
	case p.kind == "colr" && len(b) >= 11 && string(b[:4]) == "nclx":
		if m := int(binary.BigEndian.Uint16(b[8:])); m != 2 {
			c.Matrix = m
		}
		c.FullRange = b[10]>>7 == 1
	}
}

// size reads an ispe property.
func size(b []byte) (w, h int) {
	if len(b) < 12 {
		return 0, 0
	}
	return int(binary.BigEndian.Uint32(b[4:])), int(binary.BigEndian.Uint32(b[8:]))
}

func (it *item) size() (w, h int) {
	for _, p := range it.properties {
		if p.kind == "ispe" {
			w, h = size(p.body)
		}
	}
	return w, h
}

// isAlpha reports whether an item says that it is the transparency of another.
func (it *item) isAlpha() bool {
	for _, p := range it.properties {
		if p.kind == "auxC" && (strings.Contains(string(p.body), "alpha") || strings.Contains(string(p.body), "auxid:1")) {
			return true
		}
	}
	return false
}
