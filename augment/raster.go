package augment

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

// unit maps a sample to 0..1, rounded to float32 as uint8/255 is.
var unit = func() (t [256]float32) {
	for i := range t {
		t[i] = float32(i) / 255
	}
	return t
}()

// setImage copies im.
func (r *raster) setImage(im *Image) {
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
