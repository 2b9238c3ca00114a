package picture

import (
	"bytes"
	"image"
	"math"
	"testing"

	"finetune/internal/jpeg"
	"finetune/internal/rng"
)

// bilinear reads a plane of w × h samples at full resolution, h × v pixels to a
// sample: between the centres of samples where interpolated, else the sample's own value.
func bilinear(plane []uint8, stride, w, h int, x, y int, hs, vs int, acrossToo, downToo bool) float64 {
	at := func(i, j int) float64 { return float64(plane[max(0, min(j, h-1))*stride+max(0, min(i, w-1))]) }
	part := func(x, s int, between bool) (int, float64) {
		if !between {
			return x / s, 0
		}
		p := (float64(x)+0.5)/float64(s) - 0.5
		return int(math.Floor(p)), p - math.Floor(p)
	}
	i, fx := part(x, hs, acrossToo)
	j, fy := part(y, vs, downToo)
	return (1-fy)*((1-fx)*at(i, j)+fx*at(i+1, j)) + fy*((1-fx)*at(i, j+1)+fx*at(i+1, j+1))
}

// Chroma comes at full resolution between its samples, as libjpeg's "fancy
// upsampling" has it for halved planes; other ratios, and planes of two samples
// across and fewer, repeat.
func TestChromaAtFullResolution(t *testing.T) {
	s := rng.New(31)
	ratios := map[image.YCbCrSubsampleRatio][2]int{
		image.YCbCrSubsampleRatio444: {1, 1}, image.YCbCrSubsampleRatio422: {2, 1}, image.YCbCrSubsampleRatio420: {2, 2},
		image.YCbCrSubsampleRatio440: {1, 2}, image.YCbCrSubsampleRatio411: {4, 1}, image.YCbCrSubsampleRatio410: {4, 2},
	}
	for ratio, hv := range ratios {
		for _, size := range [][2]int{{1, 1}, {3, 5}, {4, 4}, {5, 3}, {6, 2}, {13, 8}, {16, 9}} {
			for _, origin := range []image.Point{{}, {8, 8}} {
				w, h := size[0], size[1]
				m := image.NewYCbCr(image.Rect(0, 0, w, h).Add(origin), ratio)
				copy(m.Cb, drawn(s, len(m.Cb)))
				copy(m.Cr, drawn(s, len(m.Cr)))
				p := &planes{YCbCr: m}
				cw, ch := (w+hv[0]-1)/hv[0], (h+hv[1]-1)/hv[1]
				own := newSamples([]jpeg.Plane{{Pix: m.Cb, Stride: m.CStride, Width: cw, Height: ch, H: hv[0], V: hv[1]}},
					&jpeg.Header{Width: w, Height: h})
				wide := hv[0] == 1 || hv[0] == 2 && (w+1)/2 > 2
				for y := range h {
					cb, cr := p.chroma(y)
					row := own.row(0, y)
					if len(cb) != w || len(cr) != w || len(row) != w {
						t.Fatalf("%v: rows of %d, %d and %d", ratio, len(cb), len(cr), len(row))
					}
					for x := range w {
						across, down := hv[0] == 2 && wide, hv[1] == 2 && wide
						b := bilinear(m.Cb, m.CStride, cw, ch, x, y, hv[0], hv[1], across, down)
						r := bilinear(m.Cr, m.CStride, cw, ch, x, y, hv[0], hv[1], across, down)
						if math.Abs(float64(cb[x])-b) > 0.76 || math.Abs(float64(cr[x])-r) > 0.76 || row[x] != cb[x] {
							t.Fatalf("%v, %d × %d at %d, %d: %d %d and %d; want %.2f %.2f", ratio, w, h, x, y, cb[x], cr[x], row[x], b, r)
						}
					}
				}
			}
		}
	}
	for _, hv := range [][2]int{{3, 1}, {1, 3}, {2, 3}, {4, 4}, {3, 2}, {1, 4}} { // ratios that image/jpeg does not have
		const w, h = 13, 11
		cw, ch := (w+hv[0]-1)/hv[0], (h+hv[1]-1)/hv[1]
		own := newSamples([]jpeg.Plane{{Pix: drawn(s, 16*ch), Stride: 16, Width: cw, Height: ch, H: hv[0], V: hv[1]}},
			&jpeg.Header{Width: w, Height: h})
		for y := range h {
			for x, v := range own.row(0, y) {
				if want := own.planes[0].Pix[y/hv[1]*16+x/hv[0]]; v != want {
					t.Fatalf("%v at %d, %d: %d, want %d", hv, x, y, v, want)
				}
			}
		}
	}
}

// Halves are rounded as libjpeg rounds them (jdsample.c): alternately, so that a
// plane becomes neither darker nor lighter.
func TestHalvesOfChroma(t *testing.T) {
	near := []uint8{2, 0, 2, 0}
	for v, want := range map[int][]uint8{1: {2, 2, 0, 1, 1, 2, 0, 0}, 2: {2, 1, 1, 0, 2, 1, 1, 0}} {
		got := make([]uint8, 8)
		upsample(got, near, near, 2, v, 0, make([]int32, 4))
		if !bytes.Equal(got, want) {
			t.Errorf("2 × %d: %v, want %v", v, got, want)
		}
	}
}

// The part of a shrunk picture that counts turns with the picture.
func TestGeometryTurnsWithThePicture(t *testing.T) {
	const w, h = 7, 6
	g := Geometry{W: w, H: h, FullW: 56, FullH: 40, X: 2, Y: 1, ExtW: 4, ExtH: 3}
	for o := range 10 {
		im := &Image{Width: w, Height: h, Pix: make([]uint8, 3*w*h), shrunk: &g}
		for y := 1; y < 4; y++ {
			for x := 2; x < 6; x++ {
				im.Pix[3*(w*y+x)] = 1
			}
		}
		turned := im.oriented(o)
		got := turned.Geometry()
		if got.W != turned.Width || got.H != turned.Height || (got.FullW == 56) != (turned.Width == w) ||
			got.FullW+got.FullH != 96 {
			t.Errorf("orientation %d: %+v of %d × %d", o, got, turned.Width, turned.Height)
		}
		for i := range w * h {
			x, y := float64(i%turned.Width), float64(i/turned.Width)
			inside := x >= got.X && x < got.X+got.ExtW && y >= got.Y && y < got.Y+got.ExtH
			if inside != (turned.Pix[3*i] == 1) {
				t.Fatalf("orientation %d: %+v does not cover the part at %g, %g", o, got, x, y)
			}
		}
	}
}
