package picture

import (
	"image"
	"image/color"
	"testing"

	"finetune/internal/picturetest"
)

// What a decode sets aside is what it takes: 8 bytes a pixel at most of what is
// decoded, 3 of RGB; a frame and its canvas; and the header tells the size.
func TestMemoryOfFormats(t *testing.T) {
	small := image.NewPaletted(image.Rect(0, 0, 30, 20), color.Palette{color.Black, color.White})
	still := picturetest.Image(t, "lossy.webp")
	im := mustDecode(t, still)
	for name, c := range map[string]struct {
		format        string
		data          []byte
		width, height int
		bytes         int64
	}{
		"png":     {"png", picturetest.EncodePNG(t, small), 30, 20, 11 * 600},
		"bmp":     {"bmp", picturetest.Image(t, "rgb.bmp"), 0, 0, 11},
		"own bmp": {"bmp", picturetest.ReadFile(t, "..", "..", "testdata", "corpus", "bmp_rle8.bmp"), 0, 0, 7},
		"webp":    {"webp", still, im.Width, im.Height, 11 * int64(len(im.Pix)/3)},
		"animation": {"webp", animated(still, image.Pt(im.Width, im.Height), image.Rect(0, 0, 100, 90)), 100, 90,
			11*int64(len(im.Pix)/3) + 3*9000},
	} {
		f, err := codecs[c.format].open(c.data, Limits{})
		if err != nil {
			t.Fatal(name, err)
		}
		if c.width == 0 {
			whole := mustDecode(t, c.data)
			c.width, c.height, c.bytes = whole.Width, whole.Height, c.bytes*int64(whole.Width)*int64(whole.Height)
		}
		if f.width != c.width || f.height != c.height || f.bytes != c.bytes || f.short {
			t.Errorf(
				"%s: %d × %d in %d bytes, short %v; want %d × %d in %d",
				name,
				f.width,
				f.height,
				f.bytes,
				f.short,
				c.width,
				c.height,
				c.bytes,
			)
		}
	}
}

// A PNG of one bit a pixel that Deflate shrinks most is whole; half of it cannot be.
func TestSmallestPNG(t *testing.T) {
	data := picturetest.EncodePNG(
		t,
		image.NewPaletted(image.Rect(0, 0, 4096, 2048), color.Palette{color.Black, color.White}),
	)
	for n, short := range map[int]bool{len(data): false, 4096 * 2048 / 8 / 1032: true, 4096*2048/8/1032 + 1: false} {
		f, err := openPNG(data[:n], Limits{})
		if err != nil || f.short != short {
			t.Errorf("%d of %d bytes: short %v, %v", n, len(data), f != nil && f.short, err)
		}
	}
}

// The smallest files of each format, cut by a byte anywhere near their end, are
// never taken for whole pictures of another size.
func TestCutFilesKeepTheirSize(t *testing.T) {
	for _, name := range []string{"rgb.png", "rgb.bmp", "part.gif", "lossy.webp", "lossless_alpha.webp", "lzw.tif",
		"grey16.tif"} {
		data := picturetest.Image(t, name)
		whole := mustDecode(t, data)
		for n := 1; n < 6; n++ {
			im, err := Decode(data[:len(data)-n], Limits{})
			if err != nil {
				wantStatus(t, name, err, Unreadable)
			} else if im.Width != whole.Width || im.Height != whole.Height || im.Check() != nil {
				t.Errorf("%s less %d bytes: %d × %d", name, n, im.Width, im.Height)
			}
		}
	}
}
