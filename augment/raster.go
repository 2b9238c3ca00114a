package augment

import "finetune/augment/picture"

// raster is an image as the transforms see it: float32 [h, w, 3], RGB, 0 to 1.
type raster struct {
	w, h int
	pix  []float32
}

// shape makes r w × h, keeping its memory where that is enough; pixels are undefined.
func (r *raster) shape(w, h int) {
	r.w, r.h, r.pix = w, h, grow(r.pix, 3*w*h)
}

func (r *raster) row(y int) []float32 { return r.pix[3*y*r.w:][:3*r.w] }

func (r *raster) size() (w, h int) { return r.w, r.h }

// floatRows gives rows of RGB on 0..1, each valid until the next.
type floatRows interface {
	size() (w, h int)
	row(y int) []float32
}

// imageRows converts the rows of an Image as they are asked for: the whole of a
// large photograph would take 12 bytes a pixel.
type imageRows struct {
	im  *picture.Image
	buf []float32 // a row
}

func (r *imageRows) size() (w, h int) { return r.im.Width, r.im.Height }

func (r *imageRows) row(y int) []float32 {
	for i, v := range r.im.Pix[3*y*r.im.Width:][:len(r.buf)] {
		r.buf[i] = unit[v]
	}
	return r.buf
}

// unit maps a sample to 0..1, rounded to float32 as uint8/255 is.
var unit = func() (t [256]float32) {
	for i := range t {
		t[i] = float32(i) / 255
	}
	return t
}()

// setImage copies im.
func (r *raster) setImage(im *picture.Image) {
	r.shape(im.Width, im.Height)
	for i, v := range im.Pix {
		r.pix[i] = unit[v]
	}
}

// scaledSize returns the size that brings the smaller side of w × h to t, with
// the reference's rounding: the ratio is a float64 that may fall short of the
// exact quotient, and each side is at least t ((71,142) at 224 gives 447).
func scaledSize(w, h, t int) (int, int) {
	ratio := float64(t) / float64(min(w, h))
	return max(int(float64(w)*ratio), t), max(int(float64(h)*ratio), t)
}
