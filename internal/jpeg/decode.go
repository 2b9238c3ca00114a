package jpeg

import (
	"context"
	"encoding/binary"
	"io"
)

// Plane holds the samples of one component.
type Plane struct {
	Pix           []uint8
	Stride        int
	Width, Height int // samples that belong to the picture
	H, V          int // pixels of the picture to one sample, across and down
}

// part is a component while it is decoded.
type part struct {
	h, v          int // sampling factors
	wide          int // blocks in a row, filled up to whole units
	across, down  int // blocks that hold pixels
	coefficients  []int16
	quant         *[64]uint16
	table         uint8
	width, height int
}

type decoder struct {
	h     *Header
	ctx   context.Context
	data  []byte
	parts []*part
	units [2]int // minimum coded units across and down, where components are interleaved
	hmax  int
	vmax  int

	quant    [4]*[64]uint16
	huffman  [2][4]*huffman
	interval int
}

// Decode returns the planes of a picture whose header is h. Memory: two bytes a
// sample, and one. Errors: the context's; io.ErrUnexpectedEOF for a file that
// ends early; Unsupported; Format.
func Decode(ctx context.Context, data []byte, h *Header) ([]Plane, error) {
	if err := h.Supported(); err != nil {
		return nil, err
	}
	d := &decoder{h: h, ctx: ctx, data: data}
	if err := d.layout(); err != nil {
		return nil, err
	}
	if err := d.segments(); err != nil {
		return nil, err
	}
	return d.planes()
}

// layout sets out the blocks of each component.
func (d *decoder) layout() error {
	d.hmax, d.vmax = 1, 1
	for _, c := range d.h.Components {
		d.hmax, d.vmax = max(d.hmax, c.H), max(d.vmax, c.V)
	}
	if len(d.h.Components) == 1 { // its factors mean nothing
		d.hmax, d.vmax = 1, 1
	}
	up := func(a, b int) int { return (a + b - 1) / b }
	d.units = [2]int{up(d.h.Width, 8*d.hmax), up(d.h.Height, 8*d.vmax)}
	for _, c := range d.h.Components {
		p := &part{h: c.H, v: c.V, table: c.Table}
		if len(d.h.Components) == 1 {
			p.h, p.v = 1, 1
		}
		if d.hmax%p.h != 0 || d.vmax%p.v != 0 {
			return Unsupported("JPEG whose components have a ratio of sampling that is not whole")
		}
		p.width, p.height = up(d.h.Width*p.h, d.hmax), up(d.h.Height*p.v, d.vmax)
		p.across, p.down = up(p.width, 8), up(p.height, 8)
		p.wide = d.units[0] * p.h
		p.coefficients = make([]int16, 64*p.wide*d.units[1]*p.v)
		d.parts = append(d.parts, p)
	}
	return nil
}

// segments reads tables and scans up to the end of the picture.
func (d *decoder) segments() error {
	for at, scans := 0, 0; ; {
		marker, _, body, after, err := next(d.data, at)
		if err != nil {
			return err
		}
		switch marker {
		case eoi:
			if scans == 0 {
				return Format("missing SOS marker")
			}
			return nil
		case dqt:
			err = d.quantTables(body)
		case dht:
			err = d.huffmanTables(body)
		case dri:
			if len(body) != 2 {
				return Format("restart interval")
			}
			d.interval = int(binary.BigEndian.Uint16(body))
		case sos:
			scans++
			after, err = d.scan(body, after)
		}
		if err != nil {
			return err
		}
		at = after
	}
}

func (d *decoder) quantTables(body []byte) error {
	for len(body) > 0 {
		wide, id := body[0]>>4, body[0]&15
		size := 64 << min(wide, 1)
		if wide > 1 || id > 3 || len(body) < 1+size {
			return Format("quantisation table")
		}
		t := new([64]uint16)
		for i := range t {
			if wide == 1 {
				t[zigzag[i]] = binary.BigEndian.Uint16(body[1+2*i:])
			} else {
				t[zigzag[i]] = uint16(body[1+i])
			}
		}
		d.quant[id], body = t, body[1+size:]
	}
	return nil
}

func (d *decoder) huffmanTables(body []byte) error {
	for len(body) > 0 {
		class, id := body[0]>>4, body[0]&15
		if class > 1 || id > 3 || len(body) < 17 {
			return Format("Huffman table")
		}
		n := 0
		for _, c := range body[1:17] {
			n += int(c)
		}
		if n == 0 || n > 256 || len(body) < 17+n {
			return Format("Huffman table")
		}
		t, ok := newHuffman(body[1:17], body[17:17+n])
		if !ok {
			return Format("Huffman table")
		}
		d.huffman[class][id], body = t, body[17+n:]
	}
	return nil
}

// planes turns coefficients into samples.
func (d *decoder) planes() ([]Plane, error) {
	out := make([]Plane, len(d.parts))
	for i, p := range d.parts {
		if p.quant == nil {
			return nil, Format("a component without a scan or a quantisation table")
		}
		rows := len(p.coefficients) / 64 / p.wide
		o := Plane{Pix: make([]uint8, 64*p.wide*rows), Stride: 8 * p.wide, Width: p.width, Height: p.height, H: d.hmax / p.h,
			V: d.vmax / p.v}
		for y := range rows {
			if err := d.ctx.Err(); err != nil {
				return nil, err
			}
			for x := range p.wide {
				inverse(o.Pix[8*y*o.Stride+8*x:], o.Stride, (*[64]int16)(p.coefficients[64*(y*p.wide+x):]), p.quant)
			}
		}
		p.coefficients, out[i] = nil, o
	}
	return out, nil
}

// short is the error of a scan whose data ended: with the file, or at a marker.
func (b *bits) short() error {
	if b.at+1 >= len(b.data) {
		return io.ErrUnexpectedEOF
	}
	return Format("a scan ends before its picture does")
}
