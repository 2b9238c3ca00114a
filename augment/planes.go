package augment

import "image"

// planes is a JPEG as its decoder leaves it: luma and, at full or half
// resolution, chroma. Rows become RGB when they are asked for, so columns that a
// crop drops are never converted.
type planes struct {
	*image.YCbCr
	cb, cr []uint8 // one row of chroma at full resolution
	sum    []int32
}

func (p *planes) geometry() geometry {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	return geometry{w: w, h: h, fullW: w, fullH: h, extW: float64(w), extH: float64(h)}
}

func (p *planes) image() *Image {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	im := &Image{Width: w, Height: h, Pix: make([]uint8, 3*w*h)}
	row := make([]uint64, w)
	d := im.Pix
	for y := range h {
		p.pack(row, y, 0)
		for _, v := range row {
			d[0], d[1], d[2] = uint8(v), uint8(v>>21), uint8(v>>42)
			d = d[3:]
		}
	}
	return im
}

// pack converts with the fixed-point numbers of libjpeg (jdcolor.c).
func (p *planes) pack(dst []uint64, y, x0 int) {
	ys := p.Y[p.YOffset(p.Rect.Min.X+x0, p.Rect.Min.Y+y):][:len(dst)]
	cbs, crs := p.chroma(y)
	cbs, crs = cbs[x0:][:len(dst)], crs[x0:][:len(dst)]
	for i := range dst {
		l := int32(ys[i])<<16 + 1<<15
		cb, cr := int32(cbs[i])-128, int32(crs[i])-128
		r, g, b := l+91881*cr, l-22554*cb-46802*cr, l+116130*cb
		if uint32(r|g|b)&0xff000000 != 0 {
			r, g, b = clip24(r), clip24(g), clip24(b)
		}
		dst[i] = uint64(r>>16) | uint64(g>>16)<<21 | uint64(b>>16)<<42
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
	for _, c := range []struct{ dst, src []uint8 }{{p.cb, p.Cb}, {p.cr, p.Cr}} {
		p.upsample(c.dst, c.src[near:], c.src[far:], y)
	}
	return p.cb[:w], p.cr[:w]
}

func (p *planes) upsample(dst, near, far []uint8, y int) {
	w := p.Rect.Dx()
	half := (w + 1) / 2
	ratio := p.SubsampleRatio
	if half <= 2 && (ratio == image.YCbCrSubsampleRatio420 || ratio == image.YCbCrSubsampleRatio422) {
		for i := range w { // libjpeg repeats samples of planes this narrow
			dst[i] = near[i/2]
		}
		return
	}
	switch ratio {
	case image.YCbCrSubsampleRatio420:
		sum := p.sum[:half]
		for i := range sum {
			sum[i] = 3*int32(near[i]) + int32(far[i])
		}
		widen(dst, sum, 4, 8, 7)
	case image.YCbCrSubsampleRatio422:
		sum := p.sum[:half]
		for i := range sum {
			sum[i] = int32(near[i])
		}
		widen(dst, sum, 2, 1, 2)
	case image.YCbCrSubsampleRatio440:
		bias := int32(1 + y&1)
		for i := range w {
			dst[i] = uint8((3*int32(near[i]) + int32(far[i]) + bias) >> 2)
		}
	default: // 4:1:1 and 4:1:0
		for i := range w {
			dst[i] = near[i/4]
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
