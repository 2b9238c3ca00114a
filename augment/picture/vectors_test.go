package picture

import (
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/picturetest"
)

// Lossless files are exact; JPEG may differ by the rounding of the inverse
// cosine transform (one unit of it moves a sample by up to 2 after the colour
// conversion); WebP by the interpolation of chroma; CMYK by Pillow's rounding.
func TestDecodeVectors(t *testing.T) {
	tolerance := map[string]int{".jpg": 3, ".webp": 3}
	picturetest.Each(t, "decode/", func(t *testing.T, name string, v picturetest.Vector) {
		im := mustDecode(t, picturetest.Image(t, name))
		if im.Height != v.Shape[0] || im.Width != v.Shape[1] {
			t.Fatalf("%d × %d, the reference has %v", im.Height, im.Width, v.Shape)
		}
		worst, mean := bytesDiffer(im.Pix, v.Bytes)
		t.Logf("worst %d, mean %.3f", worst, mean)
		tol := tolerance[filepath.Ext(name)]
		if strings.HasPrefix(name, "lossless") {
			tol = 0
		}
		if worst > tol || mean > 0.5 {
			t.Errorf("worst difference %d, mean %.3f; tolerance %d and 0.5 of 255", worst, mean, tol)
		}
	})
}

func TestOrientationVectors(t *testing.T) {
	tiny := &Image{Width: 3, Height: 2}
	for i := range 18 {
		tiny.Pix = append(tiny.Pix, uint8(i))
	}
	picturetest.Each(t, "orient/", func(t *testing.T, name string, v picturetest.Vector) {
		got := tiny.oriented(int(name[0] - '0'))
		if got.Height != v.Shape[0] || string(got.Pix) != string(v.Bytes) {
			t.Errorf("%d × %d %v, Pillow gives %v %v", got.Height, got.Width, got.Pix, v.Shape, v.Bytes)
		}
	})
}
