package tiff

import (
	"bytes"
	"context"
	"math"
)

const maxBlock = 1 << 30 // bytes of a strip or tile, of all planes

// Decode returns the samples of a page. Memory: those, and a strip or tile.
func (p *Page) Decode(ctx context.Context, jpeg JPEG) (*Samples, error) {
	s := &Samples{Width: p.Width, Height: p.Height, Channels: p.out(), Premultiplied: p.premultiplied, Full: 1}
	n := s.Width * s.Height * s.Channels
	switch {
	case p.format == floating || p.bits > 16:
		s.Floats = make([]float32, n)
		if p.format != floating {
			s.Full = 1<<32 - 1
		}
	case p.bits > 8:
		s.Words = make([]uint16, n)
	default:
		s.Bytes = make([]uint8, n)
	}
	for i := range p.across * p.down {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := p.block(ctx, s, i, jpeg); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// block decodes strip or tile i, of all planes, into its place.
func (p *Page) block(ctx context.Context, s *Samples, i int, jpeg JPEG) error {
	x0, y0 := i%p.across*p.blockWide, i/p.across*p.blockHigh
	wide, high := min(p.blockWide, p.Width-x0), min(p.blockHigh, p.Height-y0)
	rows := high
	if p.blockWide != p.Width || p.across > 1 { // tiles are whole at the edges
		rows = p.blockHigh
	}
	if int64(p.blockWide)*int64(rows) > 4*int64(p.Width)*int64(p.Height)+1<<20 {
		return Format("tiles larger than the picture")
	}
	if p.compression == newJPEG {
		return p.jpegBlock(ctx, s, i, x0, y0, wide, high, jpeg)
	}
	planes, each := 1, p.samples
	if p.planar == 2 {
		planes, each = p.samples, 1
	}
	stride := (p.blockWide*each*p.bits + 7) / 8
	if int64(stride)*int64(rows)*int64(planes) > maxBlock {
		return Unsupported("TIFF of strips or tiles of more than a gigabyte")
	}
	line := make([]uint32, p.blockWide*p.samples)
	raw := make([][]byte, planes)
	for k := range raw {
		if p.unused(k) {
			continue // planes beside colour and alpha
		}
		raw[k] = make([]byte, stride*rows)
		if err := p.unpack(raw[k], k*p.across*p.down+i, p.blockWide, rows); err != nil {
			return err
		}
	}
	for y := range high {
		if y&255 == 255 && ctx.Err() != nil {
			return ctx.Err()
		}
		for k, b := range raw {
			if b == nil {
				continue
			}
			row := b[y*stride:][:stride]
			p.predict(row, each)
			p.spread(line[k:], row, each, p.samples)
		}
		p.store(s, line, x0, y0+y, wide)
	}
	return nil
}

// unused reports whether plane k of a planar picture is neither colour nor alpha.
func (p *Page) unused(k int) bool {
	last := p.samples - p.extra
	if p.alpha {
		last++
	}
	return p.planar == 2 && k >= last
}

// spread writes the samples of a row, each values together, to every step-th
// group of dst. Floating point goes as the bits of float32.
func (p *Page) spread(dst []uint32, row []byte, each, step int) {
	n := p.blockWide * each
	at := func(i int) int { return i/each*step + i%each }
	if each == step {
		at = func(i int) int { return i }
	}
	switch {
	case p.bits == 8:
		for i, v := range row[:n] {
			dst[at(i)] = uint32(v)
		}
	case p.bits == 16 && p.format != floating:
		for i := range n {
			dst[at(i)] = uint32(p.order.Uint16(row[2*i:]))
		}
	case p.bits == 16:
		for i := range n {
			dst[at(i)] = half(p.order.Uint16(row[2*i:]))
		}
	case p.bits == 32:
		for i := range n {
			dst[at(i)] = p.order.Uint32(row[4*i:])
		}
	case p.bits == 64:
		for i := range n {
			dst[at(i)] = math.Float32bits(float32(math.Float64frombits(p.order.Uint64(row[8*i:]))))
		}
	default: // packed, the highest bit first
		acc, have, b := uint32(0), 0, 0
		for i := range n {
			for have < p.bits {
				acc, have, b = acc<<8|uint32(row[b]), have+8, b+1
			}
			have -= p.bits
			dst[at(i)] = acc >> have & (1<<p.bits - 1)
		}
	}
}

// half turns float16 into the bits of float32.
func half(h uint16) uint32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch {
	case exp == 31:
		return sign | 0xff<<23 | frac<<13
	case exp == 0:
		return sign | math.Float32bits(float32(frac)/(1<<24))
	}
	return sign | (exp+112)<<23 | frac<<13
}

// store converts a row of wide pixels and puts it at x, y.
func (p *Page) store(s *Samples, line []uint32, x, y, wide int) {
	at := (y*s.Width + x) * s.Channels
	n := wide * s.Channels
	switch {
	case s.Floats != nil:
		p.storeFloats(s.Floats[at:at+n], line, s)
	case s.Words != nil:
		p.storeInts(line, s, wide, 16, func(i int, v uint32) { s.Words[at+i] = uint16(v) })
	case p.bits == 8 && p.format == 1 && (p.photometric == blackIsZero || p.photometric == colour):
		row := s.Bytes[at : at+n]
		for i, from := 0, 0; i < n; i, from = i+s.Channels, from+p.samples {
			for c := range s.Channels {
				row[i+c] = uint8(line[from+c])
			}
		}
	default:
		p.storeInts(line, s, wide, 8, func(i int, v uint32) { s.Bytes[at+i] = uint8(v) })
	}
}

func (p *Page) storeFloats(dst []float32, line []uint32, s *Samples) {
	from := 0
	for i := 0; i < len(dst); i, from = i+s.Channels, from+p.samples {
		for c := range s.Channels {
			v := line[from+c]
			var f float32
			switch {
			case p.format == floating:
				f = math.Float32frombits(v)
			case p.format == 2:
				f = float32(int32(v))
			default:
				f = float32(v)
			}
			if p.photometric == whiteIsZero && c == 0 {
				f = s.Full - f
			}
			dst[i+c] = f
		}
	}
}

// storeInts hands on samples scaled to depth bits, in the channels of s.
func (p *Page) storeInts(line []uint32, s *Samples, wide, depth int, put func(i int, v uint32)) {
	full := uint32(1)<<depth - 1
	for x := range wide {
		px := line[x*p.samples:][:p.samples]
		o := x * s.Channels
		switch p.photometric {
		case paletted:
			k := int(px[0])
			for c := range 3 {
				put(o+c, uint32(p.palette[c<<p.bits+k]>>8))
			}
		case separated:
			for c := range 3 {
				put(o+c, uint32(uint64(full-px[c])*uint64(full-px[3])+uint64(full)/2)/full)
			}
		case ycbcr:
			r, g, b := yccToRGB(px[0], px[1], px[2])
			put(o, r)
			put(o+1, g)
			put(o+2, b)
		default:
			for c := range s.Channels {
				v := p.scale(px[c], depth)
				if p.photometric == whiteIsZero && c == 0 {
					v = full - v
				}
				put(o+c, v)
			}
		}
		if p.alpha && p.photometric == ycbcr {
			put(o+3, px[3])
		}
	}
}

// scale brings a sample to depth bits: full stays full.
func (p *Page) scale(v uint32, depth int) uint32 {
	if p.format == 2 { // signed: what is negative is black
		if v>>(p.bits-1)&1 == 1 {
			return 0
		}
		return v
	}
	if p.bits == depth {
		return v
	}
	return v * (1<<depth - 1) / (1<<p.bits - 1)
}

func yccToRGB(y, cb, cr uint32) (r, g, b uint32) {
	l, u, v := int32(y)<<16+1<<15, int32(cb)-128, int32(cr)-128
	clip := func(v int32) uint32 { return uint32(max(0, min(v>>16, 255))) }
	return clip(l + 91881*v), clip(l - 22554*u - 46802*v), clip(l + 116130*u)
}

// jpegBlock decodes a strip or tile that is a JPEG file but for its tables.
func (p *Page) jpegBlock(ctx context.Context, s *Samples, i, x0, y0, wide, high int, jpeg JPEG) error {
	planes, each := 1, p.samples
	if p.planar == 2 {
		planes, each = p.samples, 1
	}
	line := make([]uint32, p.blockWide*p.samples)
	pix := make([][]uint8, planes)
	width := 0
	for k := range pix {
		b, err := p.raw(k*p.across*p.down + i)
		if err != nil {
			return err
		}
		if len(p.tables) > 4 && bytes.HasPrefix(b, []byte{0xff, 0xd8}) {
			b = append(bytes.TrimSuffix(bytes.Clone(p.tables), []byte{0xff, 0xd9}), b[2:]...)
		}
		got, w, h, channels, err := jpeg(ctx, b, p.photometric == ycbcr)
		if err != nil {
			return err
		}
		if channels != each || w < wide || h < high || k > 0 && w != width {
			return Format("a strip or tile of JPEG with another size than the picture's")
		}
		pix[k], width = got, w
	}
	q := *p
	if q.photometric == ycbcr {
		q.photometric = colour
	}
	for y := range high {
		for k, b := range pix {
			row := b[y*width*each:][:wide*each]
			for x, v := range row {
				line[x/each*p.samples+x%each+k] = uint32(v)
			}
		}
		q.store(s, line, x0, y0+y, wide)
	}
	return nil
}
