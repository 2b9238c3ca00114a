package picture

import "image"

// planes is a JPEG as its decoder leaves it: luma and, at full or half
// resolution, chroma. Rows become RGB when they are asked for, so columns that a
// crop drops are never converted.
type planes struct {
	*image.YCbCr
	cb, cr []uint8 // one row of chroma at full resolution
	sum    []int32
}

func (p *planes) Geometry() Geometry { return whole(p.Rect.Dx(), p.Rect.Dy()) }

func (p *planes) RGB() *Image { return unpack(p, p.Rect.Dx(), p.Rect.Dy()) }

// unpack makes all of a picture of w × h.
func unpack(p Source, w, h int) *Image {
	im := &Image{Width: w, Height: h, Pix: make([]uint8, 3*w*h)}
	row := make([]uint64, w)
	d := im.Pix
	for y := range h {
		p.Pack(row, y, 0)
		for _, v := range row {
			d[0], d[1], d[2] = uint8(v), uint8(v>>Lane), uint8(v>>(2*Lane))
			d = d[3:]
		}
	}
	return im
}

// pack converts with the fixed-point numbers of libjpeg (jdcolor.c).
func (p *planes) Pack(dst []uint64, y, x0 int) {
	ys := p.Y[p.YOffset(p.Rect.Min.X+x0, p.Rect.Min.Y+y):][:len(dst)]
	cbs, crs := p.chroma(y)
	cbs, crs = cbs[x0:][:len(dst)], crs[x0:][:len(dst)]
	convertYCC(dst, ys, cbs, crs)
}

func convertYCC(dst []uint64, ys, cbs, crs []uint8) {
	ys, cbs, crs = ys[:len(dst)], cbs[:len(dst)], crs[:len(dst)]
	for i := range dst {
		l := int32(ys[i])<<16 + 1<<15
		cb, cr := int32(cbs[i])-128, int32(crs[i])-128
		r, g, b := l+91881*cr, l-22554*cb-46802*cr, l+116130*cb
		if uint32(r|g|b)&0xff000000 != 0 {
			r, g, b = clip24(r), clip24(g), clip24(b)
		}
		dst[i] = uint64(r>>16) | uint64(g>>16)<<Lane | uint64(b>>16)<<(2*Lane)
	}
}

func clip24(v int32) int32 { return max(0, min(v, 0xffffff)) }

// chroma returns row y of both chroma planes at full resolution. Halved planes
// are interpolated with the weights 3/4 and 1/4 of libjpeg's "fancy upsampling"
// (jdsample.c), to the bit; other ratios repeat samples, as libjpeg does.
func (p *planes) chroma(y int) (cb, cr []uint8) {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	if p.SubsampleRatio == image.YCbCrSubsampleRatio444 {
		at := p.COffset(p.Rect.Min.X, p.Rect.Min.Y+y)
		return p.Cb[at:][:w], p.Cr[at:][:w]
	}
	if p.cb == nil {
		p.cb, p.cr, p.sum = make([]uint8, w+1), make([]uint8, w+1), make([]int32, (w+1)/2)
	}
	x := p.Rect.Min.X
	near := p.COffset(x, p.Rect.Min.Y+y)
	far := near
	if p.SubsampleRatio == image.YCbCrSubsampleRatio420 || p.SubsampleRatio == image.YCbCrSubsampleRatio440 {
		other := y - 1 + 2*(y&1) // the chroma row on the other side of this luma row
		far = p.COffset(x, p.Rect.Min.Y+max(0, min(other, h-1)))
	}
	hr, vr := ratios(p.SubsampleRatio)
	for _, c := range []struct{ dst, src []uint8 }{{p.cb, p.Cb}, {p.cr, p.Cr}} {
		upsample(c.dst[:w], c.src[near:], c.src[far:], hr, vr, y, p.sum)
	}
	return p.cb[:w], p.cr[:w]
}

func ratios(r image.YCbCrSubsampleRatio) (h, v int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// upsample writes row y of a plane with one sample to h × v pixels at full
// resolution. near is the plane's row that y lies in, far the other neighbour of y;
// dst has room for a sample more; sum has half its length, rounded up.
func upsample(dst, near, far []uint8, h, v, y int, sum []int32) {
	w := len(dst)
	half := (w + 1) / 2
	switch {
	case h == 2 && v <= 2 && half > 2: // libjpeg repeats samples of narrower planes
		sum, left, right, shift := sum[:half], int32(1), int32(2), uint(2)
		for i := range sum {
			sum[i] = int32(near[i])
		}
		if v == 2 {
			for i := range sum {
				sum[i] = 3*int32(near[i]) + int32(far[i])
			}
			left, right, shift = 8, 7, 4
		}
		widen(dst[:w+w&1], sum, shift, left, right)
	case h == 1 && v == 2:
		bias := int32(1 + y&1)
		for i := range w {
			dst[i] = uint8((3*int32(near[i]) + int32(far[i]) + bias) >> 2)
		}
	case h == 1:
		copy(dst, near)
	case h == 2:
		for i := range w {
			dst[i] = near[i/2]
		}
	default:
		for i := range w {
			dst[i] = near[i/h]
		}
	}
}

// widen doubles a row: left and right children of each sample lean to their
// side's neighbour by a quarter; the ends repeat. dst has 2*len(sum) samples or one less.
func widen(dst []uint8, sum []int32, shift uint, left, right int32) {
	prev := sum[0]
	for i, v := range sum {
		next := v
		if i+1 < len(sum) {
			next = sum[i+1]
		}
		dst[2*i] = uint8((3*v + prev + left) >> shift)
		dst[2*i+1] = uint8((3*v + next + right) >> shift)
		prev = v
	}
}
