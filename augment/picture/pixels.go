package picture

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
)

// flatten converts what a decoder returned to RGB on a white canvas of w × h,
// the size declared: the frame of a GIF may cover a part of it.
func flatten(ctx context.Context, img image.Image, w, h int) (*Image, error) {
	b := img.Bounds()
	if b.Empty() || !b.In(image.Rect(0, 0, w, h)) {
		return nil, &DecodeError{Unreadable, fmt.Sprintf("damaged file: declares %d × %d pixels, holds %v", w, h, b)}
	}
	im := &Image{Width: w, Height: h}
	if b.Dx() < w || b.Dy() < h {
		im.Pix = bytes.Repeat([]uint8{255}, 3*w*h)
	} else {
		im.Pix = make([]uint8, 3*w*h)
	}
	convert := rowConverter(img)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		if y&63 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		start := 3 * (y*w + b.Min.X)
		convert(im.Pix[start:start+3*b.Dx()], y)
	}
	return im, nil
}

// rowConverter returns a function that writes row y of img as RGB on white.
func rowConverter(img image.Image) func(dst []uint8, y int) {
	b := img.Bounds()
	switch m := img.(type) {
	case *image.Gray:
		return func(dst []uint8, y int) {
			for i, v := range m.Pix[m.PixOffset(b.Min.X, y):][:b.Dx()] {
				dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
			}
		}
	case *image.Paletted:
		return palettedRows(m)
	case *image.RGBA:
		return rows4(m.Pix, m.PixOffset, b, premultiplied)
	case *image.NRGBA:
		return rows4(m.Pix, m.PixOffset, b, straight)
	case *image.CMYK:
		return rows4(m.Pix, m.PixOffset, b, color.CMYKToRGB)
	case *image.YCbCr:
		return vp8Rows(m, nil)
	case *image.NYCbCrA:
		return vp8Rows(&m.YCbCr, m)
	}
	if m, ok := img.(*image.Gray16); ok {
		return func(dst []uint8, y int) {
			row := m.Pix[m.PixOffset(b.Min.X, y):][:2*b.Dx()]
			for i := range b.Dx() {
				v := row[2*i]
				dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
			}
		}
	}
	return func(dst []uint8, y int) { // 16-bit samples
		for i := range b.Dx() {
			c := onWhite(img.At(b.Min.X+i, y))
			dst[3*i], dst[3*i+1], dst[3*i+2] = c[0], c[1], c[2]
		}
	}
}

func rows4(pix []uint8, offset func(x, y int) int, b image.Rectangle,
	rgb func(a, b, c, d uint8) (uint8, uint8, uint8)) func([]uint8, int) {
	return func(dst []uint8, y int) {
		row := pix[offset(b.Min.X, y):][:4*b.Dx()]
		for i := 0; i+3 < len(row); i += 4 {
			d := dst[i/4*3 : i/4*3+3 : i/4*3+3]
			d[0], d[1], d[2] = rgb(row[i], row[i+1], row[i+2], row[i+3])
		}
	}
}

// straight composites a colour that is not multiplied by its alpha on white, rounded.
func straight(r, g, b, a uint8) (uint8, uint8, uint8) {
	return blend(r, a), blend(g, a), blend(b, a)
}

func blend(v, a uint8) uint8 {
	return uint8((uint32(v)*uint32(a) + 255*(255-uint32(a)) + 127) / 255)
}

// premultiplied composites a colour already multiplied by its alpha on white.
func premultiplied(r, g, b, a uint8) (uint8, uint8, uint8) {
	white := 255 - a
	return satAdd(r, white), satAdd(g, white), satAdd(b, white)
}

func satAdd(a, b uint8) uint8 { return uint8(min(int(a)+int(b), 255)) }

// onWhite is the slow and general way: composite with 16 bits, keep the high byte.
func onWhite(c color.Color) [3]uint8 {
	if n, ok := c.(color.NRGBA); ok { // 8-bit colours stay exact
		r, g, b := straight(n.R, n.G, n.B, n.A)
		return [3]uint8{r, g, b}
	}
	r, g, b, a := c.RGBA()
	white := 0xffff - a
	return [3]uint8{uint8(min(r+white, 0xffff) >> 8), uint8(min(g+white, 0xffff) >> 8), uint8(min(b+white, 0xffff) >> 8)}
}

func palettedRows(m *image.Paletted) func([]uint8, int) {
	var table [256][3]uint8
	for i, c := range m.Palette {
		table[i] = onWhite(c)
	}
	return func(dst []uint8, y int) {
		for i, v := range m.Pix[m.PixOffset(m.Rect.Min.X, y):][:m.Rect.Dx()] {
			c := table[v]
			dst[3*i], dst[3*i+1], dst[3*i+2] = c[0], c[1], c[2]
		}
	}
}

// vp8Rows converts a lossy WebP. Its samples span 16..235 (BT.601), which Go's
// image.YCbCr, made for JPEG, does not know: colours would come out pale. The
// fixed-point numbers are libwebp's (src/dsp/yuv.h).
func vp8Rows(m *image.YCbCr, alpha *image.NYCbCrA) func([]uint8, int) {
	p := &planes{YCbCr: m}
	clip := func(v int32) uint8 { return uint8(max(0, min(v>>6, 255))) }
	return func(dst []uint8, y int) {
		w := m.Rect.Dx()
		ys := m.Y[m.YOffset(m.Rect.Min.X, y):][:w]
		cb, cr := p.chroma(y - m.Rect.Min.Y)
		for i, v := range ys {
			l, u, v := int32(v)*19077>>8, int32(cb[i]), int32(cr[i])
			r, g, b := clip(l+v*26149>>8-14234), clip(l-u*6419>>8-v*13320>>8+8708), clip(l+u*33050>>8-17685)
			if alpha != nil {
				r, g, b = straight(r, g, b, alpha.A[alpha.AOffset(m.Rect.Min.X+i, y)])
			}
			dst[3*i], dst[3*i+1], dst[3*i+2] = r, g, b
		}
	}
}
