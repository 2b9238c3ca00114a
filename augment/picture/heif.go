package picture

import (
	"context"
	"fmt"
	"image"

	"finetune/internal/heif"
	"finetune/internal/plural"
)

func openHEIF(data []byte, l Limits) (*file, error) {
	c, err := heif.Open(data)
	if err != nil {
		return nil, err
	}
	f := &file{width: c.CutWidth, height: c.CutHeight, bytes: c.Memory() + 3*c.Coded}
	if err := f.allowed(l); err != nil {
		return nil, err
	}
	if limit := l.pixels(); c.Coded > 2*limit { // tiles may reach over the edges
		return nil, &DecodeError{TooLarge, fmt.Sprintf("is made of pictures of %s together, more than twice the "+
			"limit of %d; save it again, or raise --max-pixels", plural.Count(c.Coded, "pixel"), limit)}
	}
	f.decode = func(ctx context.Context, l Limits) (Source, error) {
		p, err := c.Decode(ctx)
		if err != nil {
			return nil, err
		}
		return fromHEIF(ctx, c, p, l)
	}
	return f, nil
}

// fromHEIF makes a picture of what a decoder left. An AVIF file's is turned
// here; a HEIC file's has been.
func fromHEIF(ctx context.Context, c *heif.Container, p *heif.Picture, l Limits) (Source, error) {
	if p.Y != nil {
		return newVideo(c, p), nil
	}
	r := image.Rect(0, 0, p.Width, p.Height)
	var img image.Image
	switch {
	case p.Wide != nil: // Go's samples have the high byte first
		for i := 0; i+1 < len(p.Wide); i += 2 {
			p.Wide[i], p.Wide[i+1] = p.Wide[i+1], p.Wide[i]
		}
		img = &image.RGBA64{Pix: p.Wide, Stride: p.RowBytes, Rect: r}
	case p.Premultiplied:
		img = &image.RGBA{Pix: p.RGBA, Stride: p.RowBytes, Rect: r}
	default:
		img = &image.NRGBA{Pix: p.RGBA, Stride: p.RowBytes, Rect: r}
	}
	l.mapDeep(img)
	im, err := flatten(ctx, img, p.Width, p.Height)
	if err != nil || !c.AVIF {
		return im, err
	}
	return im.oriented([]int{1, 8, 3, 6}[c.Rotate]).oriented([]int{1, 4, 2}[c.Mirror]), nil
}

// video is a picture in the planes of a video codec.
type video struct {
	planes
	grey          bool
	h, v          int   // pixels to a sample of colour
	black         int32 // Y of black
	y, rv, gu, gv int32 // what Y, Cr and Cb add to the channels, 16 bits behind the point
	bu            int32
}

func newVideo(c *heif.Container, p *heif.Picture) *video {
	v := &video{grey: p.Cb == nil, h: p.H, v: p.V}
	v.planes.YCbCr = &image.YCbCr{Y: p.Y, Cb: p.Cb, Cr: p.Cr, YStride: p.Stride, CStride: p.ChromaStride,
		Rect: image.Rect(0, 0, p.Width, p.Height)}
	kr, kb := 0.299, 0.114 // BT.601
	switch c.Matrix {
	case 1: // BT.709
		kr, kb = 0.2126, 0.0722
	case 9, 10: // BT.2020
		kr, kb = 0.2627, 0.0593
	}
	luma, chroma := 1.0, 1.0
	if !c.FullRange {
		luma, chroma, v.black = 255./219, 255./224, 16
	}
	kg := 1 - kr - kb
	fixed := func(f float64) int32 { return int32(f*65536 + 0.5) }
	v.y, v.rv, v.bu = fixed(luma), fixed(2*(1-kr)*chroma), fixed(2*(1-kb)*chroma)
	v.gu, v.gv = fixed(2*kb*(1-kb)/kg*chroma), fixed(2*kr*(1-kr)/kg*chroma)
	return v
}

func (v *video) RGB() *Image { return unpack(v, v.Rect.Dx(), v.Rect.Dy()) }

func (v *video) Pack(dst []uint64, y, x0 int) {
	ys := v.Y[v.YOffset(x0, y):][:len(dst)]
	if v.grey {
		for i, l := range ys {
			g := uint8(clip24((int32(l)-v.black)*v.y+1<<15) >> 16)
			dst[i] = rgb(g, g, g)
		}
		return
	}
	from := y / v.v * v.CStride // samples of colour are repeated, as libheif does
	cbs, crs := v.Cb[from:], v.Cr[from:]
	for i, l := range ys {
		l := (int32(l)-v.black)*v.y + 1<<15
		c := (x0 + i) / v.h
		cb, cr := int32(cbs[c])-128, int32(crs[c])-128
		r, g, b := l+v.rv*cr, l-v.gu*cb-v.gv*cr, l+v.bu*cb
		dst[i] = rgb(uint8(clip24(r)>>16), uint8(clip24(g)>>16), uint8(clip24(b)>>16))
	}
}
