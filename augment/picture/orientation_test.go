package picture

import (
	"bytes"
	"image/jpeg"
	"testing"

	"finetune/internal/picturetest"
)

// One picture stored in the eight ways that cameras do gives one picture.
func TestEightOrientationsOnePicture(t *testing.T) {
	// flat 16 × 16 blocks survive JPEG in any orientation
	blocks := &Image{Width: 96, Height: 64, Pix: make([]uint8, 3*96*64)}
	for i := range blocks.Width * blocks.Height {
		x, y := i%96/16, i/96/16
		for c := range 3 {
			blocks.Pix[3*i+c] = uint8(40 + x*25 + y*13*(c+1))
		}
	}
	inverse := []int{0, 1, 2, 3, 4, 5, 8, 7, 6}
	for _, kind := range []string{"png", "jpeg"} {
		want := blocks
		for o := 1; o <= 8; o++ {
			stored := blocks.oriented(inverse[o]).rgba()
			data := picturetest.EncodePNG(t, stored)
			if kind == "jpeg" {
				var b bytes.Buffer
				if err := jpeg.Encode(&b, stored, &jpeg.Options{Quality: 100}); err != nil {
					t.Fatal(err)
				}
				data = b.Bytes()
			}
			got := mustDecode(t, picturetest.WithEXIF(data, uint16(o)))
			if got.Width != blocks.Width || got.Height != blocks.Height {
				t.Errorf("%s, orientation %d: %d × %d", kind, o, got.Width, got.Height)
				continue
			}
			if kind == "jpeg" && o == 1 { // chroma runs over the edges of the blocks, and rounds to one side
				want = got
			}
			if worst, _ := bytesDiffer(got.Pix, want.Pix); worst > map[string]int{"png": 0, "jpeg": 2}[kind] {
				t.Errorf("%s, orientation %d: differs by up to %d", kind, o, worst)
			}
		}
	}
}

// Damaged metadata is no reason to refuse a photograph.
func TestBrokenEXIFIsIgnored(t *testing.T) {
	photo := picturetest.Image(t, "420.jpg")
	want := mustDecode(t, photo)
	good := picturetest.WithEXIF(photo, 1)
	for i := 12; i < 6+32; i++ { // any byte of the EXIF block, from the byte order on
		for _, v := range []byte{0, 0x7f, 0xff} {
			data := bytes.Clone(good)
			data[i] = v
			im, err := Decode(data, Limits{})
			if err != nil {
				t.Fatalf("byte %d = %#x: %v", i, v, err)
			}
			if len(im.Pix) != len(want.Pix) {
				t.Fatalf("byte %d = %#x: %d samples", i, v, len(im.Pix))
			}
		}
	}
	if got := mustDecode(t, picturetest.WithEXIF(photo, 9)); !bytes.Equal(got.Pix, want.Pix) {
		t.Error("orientation 9, which does not exist, changed the picture")
	}
	if got := mustDecode(t, picturetest.WithEXIF(photo, 6)); got.Width != want.Height {
		t.Error("orientation 6 did not turn the picture")
	}
}
