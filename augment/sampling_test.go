package augment

import (
	"bytes"
	"math"
	"testing"

	"finetune/augment/picture"
	"finetune/internal/rng"
)

// A part of a scaled picture is that part of the whole, whatever was scaled before.
func TestWindowIsAPartOfTheWhole(t *testing.T) {
	s := rng.New(32)
	var r packed
	pixels := func(p picture.Source, win window) []uint8 {
		var out []uint8
		next := 0
		if !r.resize(p, win, func(y int, row []uint64) {
			if y != next || len(row) != win.nx {
				t.Fatalf("row %d of %d pixels, want %d of %d", y, len(row), next, win.nx)
			}
			next++
			for _, v := range row {
				out = append(out, uint8(v), uint8(v>>lane), uint8(v>>(2*lane)))
			}
		}) || next != win.ny {
			t.Fatalf("%+v: %d rows", win, next)
		}
		return out
	}
	for i := range 60 {
		im := noise(1+s.Intn(90), 1+s.Intn(90), uint64(i))
		w, h := 1+s.Intn(70), 1+s.Intn(70)
		if im.Width > 30*w || im.Height > 30*h {
			continue
		}
		nx, ny := 1+s.Intn(w), 1+s.Intn(h)
		win := window{w: w, h: h, x0: s.Intn(w - nx + 1), y0: s.Intn(h - ny + 1), nx: nx, ny: ny}
		want := make([]uint8, 3*w*h)
		nfntLibrary(want, im, w, h)
		got := pixels(im, win)
		for y := range ny {
			if row := want[3*((win.y0+y)*w+win.x0):][:3*nx]; !bytes.Equal(got[3*y*nx:][:3*nx], row) {
				t.Fatalf("%d × %d, %+v: row %d differs", im.Width, im.Height, win, y)
			}
		}
	}
}

// placed is a picture that its decoder shrank.
type placed struct {
	*picture.Image
	geometry picture.Geometry
}

func (p placed) Geometry() picture.Geometry { return p.geometry }

// A picture that its decoder shrank is placed where the file's own would be: on
// a slope, what comes out is the height at each output's centre.
func TestShrunkPictureIsPlaced(t *testing.T) {
	im := &picture.Image{Width: 64, Height: 48, Pix: make([]uint8, 3*64*48)}
	for i := range 64 * 48 {
		im.Pix[3*i], im.Pix[3*i+1] = uint8(3*(i%64)), uint8(4*(i/64))
	}
	for _, g := range []picture.Geometry{
		{W: 64, H: 48, FullW: 64, FullH: 48, ExtW: 64, ExtH: 48},
		{W: 64, H: 48, FullW: 510, FullH: 380, X: 0.25, Y: 0.5, ExtW: 63.75, ExtH: 47.5},
		{W: 64, H: 48, FullW: 256, FullH: 192, X: 8, Y: 4, ExtW: 40, ExtH: 30},
	} {
		var r packed
		w, h := 20, 15
		if !r.resize(placed{im, g}, window{w: w, h: h, x0: 2, y0: 3, nx: 15, ny: 9}, func(y int, row []uint64) {
			for x, v := range row {
				px := g.ExtW/float64(w)*(float64(x+2)+0.5) - 0.5 + g.X
				py := g.ExtH/float64(h)*(float64(y+3)+0.5) - 0.5 + g.Y
				for c, want := range [3]float64{3 * px, 4 * py, 0} {
					if got := uint8(v >> (c * lane)); math.Abs(float64(got)-max(0, min(want, 255))) > 2 {
						t.Fatalf("%+v at %d, %d: channel %d is %d, want %.2f", g, x, y, c, got, want)
					}
				}
			}
		}) {
			t.Fatal("not done")
		}
	}
}
