package picture

import (
	"image"
	"testing"

	"finetune/internal/picturetest"
)

func mustDecode(t testing.TB, data []byte) *Image {
	t.Helper()
	im, err := Decode(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// noise is a synthetic picture: smooth colours with sharp random squares.
func noise(w, h int, seed uint64) *Image {
	return &Image{Width: w, Height: h, Pix: picturetest.Noise(w, h, seed)}
}

func (im *Image) rgba() *image.RGBA { return picturetest.RGBA(im.Width, im.Height, im.Pix) }

func encodeJPEG(t testing.TB, im *Image) []byte { return picturetest.EncodeJPEG(t, im.rgba()) }

func bytesDiffer(a, b []uint8) (worst int, mean float64) {
	for i := range a {
		d := int(a[i]) - int(b[i])
		if d < 0 {
			d = -d
		}
		worst, mean = max(worst, d), mean+float64(d)
	}
	return worst, mean / float64(len(a))
}
