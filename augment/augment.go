// Package augment turns the bytes of an image file into the float32 [3, height, width] a network takes.
//
// Sizes, crops, the random transforms and the order of their draws follow fast.ai 0.7
// (fastai/fastai1 old/fastai/transforms.py); resampling by area and rotation follow OpenCV.
// Decode tells formats by content, honours EXIF orientation and refuses files that declare
// more pixels than the limit before it allocates. Built with -tags turbojpeg, JPEG is
// decoded by libjpeg-turbo, several times faster. Everything here is safe for concurrent use.
package augment

import "fmt"

// Normalisation of the ImageNet weights that torchvision publishes, per RGB channel on 0..1.
var (
	ImageNetMean = [3]float32{0.485, 0.456, 0.406}
	ImageNetStd  = [3]float32{0.229, 0.224, 0.225}
)

// Image is a decoded photograph: RGB, 3 bytes a pixel, row-major, EXIF orientation
// applied, transparency composited on white. It is only read, never changed.
type Image struct {
	Width, Height int
	Pix           []uint8 // [Height, Width, 3]

	shrunk *geometry // set by a decoder that shrinks while it decodes
}

// geometry places a decoded picture on the one its file declares: sizes and
// crops are those of the declared one.
type geometry struct {
	w, h         int     // pixels there are
	fullW, fullH int     // pixels declared
	x, y         float64 // where the declared picture starts, in pixels there are
	extW, extH   float64 // and how many of them it covers
}

func (im *Image) geometry() geometry {
	if im.shrunk != nil {
		return *im.shrunk
	}
	w, h := im.Width, im.Height
	return geometry{w: w, h: h, fullW: w, fullH: h, extW: float64(w), extH: float64(h)}
}

func (im *Image) check() error {
	if im == nil || im.Width <= 0 || im.Height <= 0 || len(im.Pix) != 3*im.Width*im.Height {
		return fmt.Errorf("augment: image without pixels or with a wrong number of them; use the result of Decode")
	}
	return nil
}
