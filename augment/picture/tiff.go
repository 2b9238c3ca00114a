package picture

import (
	"context"
	"errors"

	"finetune/internal/jpeg"
	"finetune/internal/tiff"
)

func openTIFF(data []byte, l Limits) (*file, error) {
	p, err := tiff.Open(data)
	if err != nil {
		return nil, err
	}
	if p.JPEG != nil { // the preview of a raw file
		f, err := openJPEG(p.JPEG, l)
		if err == nil && p.Orientation > 1 {
			f.orientation = p.Orientation
		}
		return f, err
	}
	f := &file{width: p.Width, height: p.Height, orientation: p.Orientation, short: p.Short()}
	f.bytes = p.Memory() + 3*int64(p.Width)*int64(p.Height)
	f.decode = func(ctx context.Context, l Limits) (Source, error) {
		s, err := p.Decode(ctx, tiffJPEG)
		if err != nil {
			return nil, err
		}
		l.mapSamples(s)
		return fromSamples(ctx, s)
	}
	return f, nil
}

// tiffJPEG decodes the strips and tiles that are JPEG.
func tiffJPEG(ctx context.Context, data []byte, ycc bool) (pix []uint8, w, h, channels int, err error) {
	head, err := jpeg.ReadHeader(data)
	if err != nil {
		return nil, 0, 0, 0, err
	}
	if pixels := int64(head.Width) * int64(head.Height); pixels > DefaultMaxPixels ||
		int64(head.Scans)*pixels > scansOfLimit*DefaultMaxPixels {
		return nil, 0, 0, 0, errors.New("a strip or tile of JPEG of too many pixels or scans")
	}
	planes, err := jpeg.Decode(ctx, data, head)
	if err != nil {
		return nil, 0, 0, 0, err
	}
	s := newSamples(planes, head)
	if s.model = jpeg.RGB; ycc && len(planes) == 3 {
		s.model = jpeg.YCC
	}
	if len(planes) == 3 {
		return unpack(s, s.w, s.h).Pix, s.w, s.h, 3, nil
	}
	pix = make([]uint8, s.w*s.h*len(planes))
	for y := range s.h {
		for c := range planes {
			for x, v := range s.row(c, y) {
				pix[(y*s.w+x)*len(planes)+c] = v
			}
		}
	}
	return pix, s.w, s.h, len(planes), nil
}

// fromSamples makes RGB on white.
func fromSamples(ctx context.Context, s *tiff.Samples) (*Image, error) {
	im := &Image{Width: s.Width, Height: s.Height, Pix: make([]uint8, 3*s.Width*s.Height)}
	n := s.Width * s.Channels
	var line []uint8
	for y := range s.Height {
		if y&63 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		dst := im.Pix[3*y*s.Width:][:3*s.Width]
		switch {
		case s.Bytes != nil:
			row := s.Bytes[y*n:][:n]
			if s.Channels == 3 {
				copy(dst, row)
				continue
			}
			line = row
		case s.Words != nil:
			words(dst, s.Words[y*n:][:n], s)
			continue
		default:
			if line == nil {
				line = make([]uint8, n)
			}
			for i, v := range s.Floats[y*n:][:n] {
				if line[i] = 0; v == v {
					line[i] = uint8(max(0, min(v/s.Full*255+0.5, 255)))
				}
			}
		}
		samples8(dst, line, s)
	}
	return im, nil
}

// mapSamples is mapDeep for TIFF. Floating point and 32 bits become 0..s.Full.
func (l Limits) mapSamples(s *tiff.Samples) {
	if s.Bytes != nil || !l.deep() {
		return
	}
	colours := s.Channels - (s.Channels+1)%2
	span, full := newSpan(), float64(0xffff)
	if s.Floats != nil {
		full = float64(s.Full)
	}
	for i := 0; i < max(len(s.Words), len(s.Floats)); i += s.Channels {
		for c := i; c < i+colours; c++ {
			if s.Floats != nil {
				span.add(float64(s.Floats[c]))
			} else {
				span.add(float64(s.Words[c]))
			}
		}
	}
	black, factor := l.scale(span, full)
	if black == 0 && factor == 1 {
		return
	}
	for i := 0; i < max(len(s.Words), len(s.Floats)); i += s.Channels {
		for c := i; c < i+colours; c++ {
			if s.Floats != nil {
				s.Floats[c] = float32((float64(s.Floats[c]) - black) * factor)
			} else {
				s.Words[c] = uint16(max(0, min((float64(s.Words[c])-black)*factor+0.5, 0xffff)))
			}
		}
	}
}

// samples8 composites a row of 8-bit samples on white.
func samples8(dst, row []uint8, s *tiff.Samples) {
	blend := straight
	if s.Premultiplied {
		blend = premultiplied
	}
	for i, o := 0, 0; i < len(row); i, o = i+s.Channels, o+3 {
		p, d := row[i:i+s.Channels], dst[o:o+3:o+3]
		switch s.Channels {
		case 1:
			d[0], d[1], d[2] = p[0], p[0], p[0]
		case 2:
			d[0], d[1], d[2] = blend(p[0], p[0], p[0], p[1])
		case 3:
			d[0], d[1], d[2] = p[0], p[1], p[2]
		default:
			d[0], d[1], d[2] = blend(p[0], p[1], p[2], p[3])
		}
	}
}

// words composites 16-bit samples on white and keeps the high byte.
func words(dst []uint8, row []uint16, s *tiff.Samples) {
	for i, o := 0, 0; i < len(row); i, o = i+s.Channels, o+3 {
		p, d := row[i:i+s.Channels], dst[o:o+3:o+3]
		c, a := [3]uint16{p[0], p[0], p[0]}, uint32(0xffff)
		if s.Channels >= 3 {
			c[1], c[2] = p[1], p[2]
		}
		if s.Channels&1 == 0 {
			a = uint32(p[s.Channels-1])
		}
		for k, v := range c {
			v := uint32(v)
			if !s.Premultiplied && a != 0xffff {
				v = v * a / 0xffff
			}
			d[k] = uint8(min(v+0xffff-a, 0xffff) >> 8)
		}
	}
}
