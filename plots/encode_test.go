package plots

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"testing"
)

// A page of photographs comes back from the standard decoder pixel by pixel.
func TestTrueColourIsLossless(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{1, 1}, {3, 7}, {64, 33}} {
		want := image.NewRGBA(image.Rect(0, 0, size[0], size[1]))
		for y := range size[1] {
			for x := range size[0] {
				want.SetRGBA(x, y, color.RGBA{uint8(r.Uint32()), uint8(x * y), uint8(r.Uint32()), 0xff})
			}
		}
		data, err := encode(want, true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%v: %v", size, err)
		}
		for y := range size[1] {
			for x := range size[0] {
				if g, w := color.RGBAModel.Convert(got.At(x, y)), want.At(x, y); g != w {
					t.Fatalf("%v: pixel %d,%d: got %v, want %v", size, x, y, g, w)
				}
			}
		}
	}
}
