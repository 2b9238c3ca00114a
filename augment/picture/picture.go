// Package picture reads the file of a photograph into RGB pixels.
//
// Decode tells formats by content, honours EXIF orientation and refuses files that declare
// more pixels than the limit before it allocates. JPEG is decoded by libjpeg-turbo where
// that is (package libjpeg), several times faster. Everything here is safe for concurrent
// use.
package picture

import (
	"fmt"
	"image"
)

// Image is a decoded photograph: RGB, 3 bytes a pixel, row-major, EXIF orientation
// applied, transparency composited on white. It is only read, never changed.
type Image struct {
	Width, Height int
	Pix           []uint8 // [Height, Width, 3]

	shrunk *Geometry // set by a decoder that shrinks while it decodes
}

// Source is a decoded file whose rows may still need conversion to RGB.
// It serves one goroutine at a time.
type Source interface {
	// RGB converts all of it.
	RGB() *Image
	// Geometry places the pixels on those that the file declares.
	Geometry() Geometry
	// Pack writes pixels x0..x0+len(dst)-1 of row y to dst, red in bits 0..7,
	// green from bit Lane on, blue from bit 2*Lane on.
	Pack(dst []uint64, y, x0 int)
}

// Lane is the width in bits of a channel of a packed pixel: a product of a sample with
// a small weight fits, so that one multiplication serves all three.
const Lane = 21

// Geometry places a decoded picture on the one its file declares: sizes and
// crops are those of the declared one.
type Geometry struct {
	W, H         int     // pixels there are
	FullW, FullH int     // pixels declared
	X, Y         float64 // where the declared picture starts, in pixels there are
	ExtW, ExtH   float64 // and how many of them it covers
}

// Geometry is that of a Source. An Image that was shrunk while it was decoded
// knows the size that its file declares.
func (im *Image) Geometry() Geometry {
	if im.shrunk != nil {
		return *im.shrunk
	}
	return whole(im.Width, im.Height)
}

// whole is the Geometry of a picture that was not shrunk.
func whole(w, h int) Geometry {
	return Geometry{W: w, H: h, FullW: w, FullH: h, ExtW: float64(w), ExtH: float64(h)}
}

// Check refuses an Image that is nil, or whose pixels are not Width × Height.
func (im *Image) Check() error {
	if im == nil || im.Width <= 0 || im.Height <= 0 || len(im.Pix) != 3*im.Width*im.Height {
		return fmt.Errorf("augment: image without pixels or with a wrong number of them; use the result of Decode")
	}
	return nil
}

// NRGBA is im as the standard library holds pictures. The pixels are copied.
func (im *Image) NRGBA() *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, im.Width, im.Height))
	for i := range im.Width * im.Height {
		copy(out.Pix[4*i:], im.Pix[3*i:3*i+3])
		out.Pix[4*i+3] = 0xff
	}
	return out
}

// RGB is im itself.
func (im *Image) RGB() *Image { return im }

// Pack is that of a Source.
func (im *Image) Pack(dst []uint64, y, x0 int) {
	row := im.Pix[3*(y*im.Width+x0):]
	row = row[:3*len(dst)]
	for x := range dst {
		p := row[3*x : 3*x+3 : 3*x+3]
		dst[x] = rgb(p[0], p[1], p[2])
	}
}
