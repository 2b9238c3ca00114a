package picture

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"testing"

	"finetune/internal/heif"
	"finetune/internal/jpeg"
	"finetune/internal/rng"
)

// clip8 is a sample of 0 to 255.
func clip8(v float64) float64 { return max(0, min(v, 255)) }

// closeTo wants each channel of a pixel within tol of what arithmetic gives.
func closeTo(t *testing.T, what string, got []uint8, want [3]float64, tol float64) {
	t.Helper()
	for c, v := range want {
		if math.Abs(float64(got[c])-clip8(v)) > tol {
			t.Fatalf("%s: %v, want %.2f within %g", what, got[:3], want, tol)
		}
	}
}

// over composites a sample on white; premultiplied tells how alpha is stored.
func over(v, a, full float64, premultiplied bool) float64 {
	if !premultiplied {
		v *= a / full
	}
	return (v + full - a) / full * 255
}

func drawn(s *rng.Stream, n int) []uint8 {
	b := make([]uint8, n)
	for i := range b {
		if b[i] = uint8(s.Intn(256)); s.Intn(4) == 0 {
			b[i] = uint8(255 * s.Intn(2)) // the ends, often
		}
	}
	return b
}

// A part of each kind of picture, on a larger canvas: composited on white where
// it is, white elsewhere.
func TestFlattenKinds(t *testing.T) {
	s := rng.New(11)
	full, part := image.Rect(0, 0, 9, 7), image.Rect(2, 1, 8, 6)
	var palette color.Palette
	for range 256 {
		b := drawn(s, 4)
		palette = append(palette, color.NRGBA{b[0], b[1], b[2], b[3]})
	}
	rgba := image.NewRGBA(full)
	for i, n := 0, drawn(s, len(rgba.Pix)); i < len(n); i += 4 {
		a := n[i+3]
		for c := range 3 {
			rgba.Pix[i+c] = uint8(int(n[i+c]) * int(a) / 255)
		}
		rgba.Pix[i+3] = a
	}
	alpha := &image.NYCbCrA{YCbCr: *image.NewYCbCr(full, image.YCbCrSubsampleRatio444), A: drawn(s, 63), AStride: 9}
	alpha.Y, alpha.Cb, alpha.Cr = drawn(s, 63), drawn(s, 63), drawn(s, 63)
	video := func(y, cb, cr uint8) [3]float64 { // ITU-R BT.601, 16 to 235
		l, u, v := 255./219*(float64(y)-16), 255./224*(float64(cb)-128), 255./224*(float64(cr)-128)
		return [3]float64{clip8(l + 1.402*v), clip8(l - 0.344136*u - 0.714136*v), clip8(l + 1.772*u)}
	}
	type sub interface {
		image.Image
		SubImage(image.Rectangle) image.Image
	}
	wide := func(c color.Color) [3]float64 {
		r, g, b, a := c.RGBA()
		return [3]float64{over(float64(r), float64(a), 65535, true), over(float64(g), float64(a), 65535, true),
			over(float64(b), float64(a), 65535, true)}
	}
	for name, c := range map[string]struct {
		m    sub
		want func(x, y int) [3]float64
		tol  float64
	}{
		"grey":   {&image.Gray{Pix: drawn(s, 63), Stride: 9, Rect: full}, nil, 0},
		"grey16": {&image.Gray16{Pix: drawn(s, 126), Stride: 18, Rect: full}, nil, 1},
		"rgba":   {rgba, nil, 0.01},
		"nrgba":  {&image.NRGBA{Pix: drawn(s, 252), Stride: 36, Rect: full}, nil, 0.51},
		"rgba64": {&image.NRGBA64{Pix: drawn(s, 504), Stride: 72, Rect: full}, nil, 1.01},
		"cmyk":   {&image.CMYK{Pix: drawn(s, 252), Stride: 36, Rect: full}, nil, 1},
		"palette": {&image.Paletted{Pix: drawn(s, 63), Stride: 9, Rect: full, Palette: palette}, func(x, y int) [3]float64 {
			return [3]float64{}
		}, 0.51},
		"webp": {&alpha.YCbCr, func(x, y int) [3]float64 { i := 9*y + x; return video(alpha.Y[i], alpha.Cb[i], alpha.Cr[i]) },
			1.5},
		"webp with alpha": {alpha, func(x, y int) [3]float64 {
			i := 9*y + x
			v := video(alpha.Y[i], alpha.Cb[i], alpha.Cr[i])
			for c := range v {
				v[c] = over(v[c], float64(alpha.A[i]), 255, false)
			}
			return v
		}, 2},
	} {
		if p, ok := c.m.(*image.Paletted); ok {
			c.want = func(x, y int) [3]float64 {
				n := palette[p.Pix[9*y+x]].(color.NRGBA)
				a := float64(n.A)
				return [3]float64{over(float64(n.R), a, 255, false), over(float64(n.G), a, 255, false),
					over(float64(n.B), a, 255, false)}
			}
		} else if p, ok := c.m.(*image.NRGBA); ok {
			c.want = func(x, y int) [3]float64 {
				n := p.NRGBAAt(x, y)
				a := float64(n.A)
				return [3]float64{over(float64(n.R), a, 255, false), over(float64(n.G), a, 255, false),
					over(float64(n.B), a, 255, false)}
			}
		} else if c.want == nil {
			c.want = func(x, y int) [3]float64 { return wide(c.m.At(x, y)) }
		}
		for _, m := range []image.Image{c.m, c.m.SubImage(part)} {
			im, err := flatten(t.Context(), m, 9, 8)
			if err != nil {
				t.Fatal(err)
			}
			for y := range 8 {
				for x := range 9 {
					want := [3]float64{255, 255, 255}
					if image.Pt(x, y).In(m.Bounds()) {
						want = c.want(x, y)
					}
					closeTo(t, fmt.Sprintf("%s %v at %d, %d", name, m.Bounds(), x, y), im.Pix[3*(9*y+x):], want, c.tol)
				}
			}
		}
	}
}

func TestFlattenRefuses(t *testing.T) {
	for _, r := range []image.Rectangle{{}, image.Rect(0, 0, 10, 7), image.Rect(0, 0, 9, 8), image.Rect(-1, 0, 9, 7),
		image.Rect(0, -1, 9, 7)} {
		_, err := flatten(t.Context(), image.NewGray(r), 9, 7)
		wantStatus(t, r.String(), err, Unreadable, "declares 9 × 7")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := flatten(ctx, image.NewGray(image.Rect(0, 0, 9, 7)), 9, 7); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// The colours of HEIC by the formulas of ITU-T H.273, for each matrix and range.
func TestVideoColours(t *testing.T) {
	s := rng.New(12)
	const w, h = 11, 7
	for _, c := range []struct {
		matrix int
		kr, kb float64
	}{{1, 0.2126, 0.0722}, {2, 0.299, 0.114}, {5, 0.299, 0.114}, {6, 0.299, 0.114}, {9, 0.2627, 0.0593}, {10, 0.2627,
		0.0593}} {
		for _, full := range []bool{true, false} {
			for _, sub := range [][2]int{{1, 1}, {2, 1}, {2, 2}, {0, 0}} {
				p := &heif.Picture{Width: w, Height: h, Stride: 13, Y: drawn(s, 13*h), H: max(1, sub[0]), V: max(1, sub[1])}
				if sub[0] > 0 {
					p.ChromaStride = 12
					p.Cb, p.Cr = drawn(s, 12*h), drawn(s, 12*h)
				}
				pic, err := fromHEIF(t.Context(), &heif.Container{Matrix: c.matrix, FullRange: full}, p, Limits{})
				if err != nil {
					t.Fatal(err)
				}
				im := pic.RGB()
				if g := pic.Geometry(); im.Width != w || im.Height != h || g.FullW != w || g.H != h {
					t.Fatalf("%d × %d, %+v", im.Width, im.Height, g)
				}
				for y := range h {
					for x := range w {
						l, u, v := float64(p.Y[13*y+x]), 0., 0.
						if sub[0] > 0 {
							at := y/p.V*12 + x/p.H
							u, v = float64(p.Cb[at])-128, float64(p.Cr[at])-128
						}
						if !full {
							l, u, v = (l-16)*255/219, u*255/224, v*255/224
						}
						kg := 1 - c.kr - c.kb
						want := [3]float64{l + 2*(1-c.kr)*v, l - 2*c.kb*(1-c.kb)/kg*u - 2*c.kr*(1-c.kr)/kg*v, l + 2*(1-c.kb)*u}
						closeTo(t, fmt.Sprintf("%+v, full %v, %v at %d, %d", c, full, sub, x, y), im.Pix[3*(w*y+x):], want, 0.52)
					}
				}
				row := make([]uint64, 5) // a part of a row is that part
				pic.Pack(row, 3, 4)
				for i, v := range row {
					q := im.Pix[3*(3*w+4+i):]
					if v != rgb(q[0], q[1], q[2]) {
						t.Fatalf("%v: pixel %d of a part is %x, not %v", sub, i, v, q[:3])
					}
				}
			}
		}
	}
}

// A HEIF picture of RGB: alpha stored in either way, 16 bits with the low byte
// first; AVIF turned counter-clockwise, then mirrored; HEIC as it comes.
func TestHEIFOfRGB(t *testing.T) {
	s := rng.New(13)
	const w, h = 3, 2
	for _, premultiplied := range []bool{true, false} {
		for _, wide := range []bool{false, true} {
			for turn := range 4 {
				for _, mirror := range []heif.Mirror{heif.NoMirror, heif.TopBottom, heif.LeftRight} {
					for _, avif := range []bool{true, false} {
						if wide && !premultiplied {
							continue // 16 bits come multiplied, or without alpha
						}
						p := &heif.Picture{Width: w, Height: h, Premultiplied: premultiplied}
						var want [w * h][3]float64
						for i := range want {
							a := uint8(255)
							if !wide {
								a = uint8(s.Intn(256))
							}
							for c := range 3 {
								v := s.Intn(256)
								if premultiplied {
									v = v * int(a) / 255
								}
								want[i][c] = over(float64(v), float64(a), 255, premultiplied)
								p.RGBA = append(p.RGBA, uint8(v))
								p.Wide = append(p.Wide, uint8(s.Intn(256)), uint8(v))
							}
							p.RGBA, p.Wide = append(p.RGBA, a), append(p.Wide, a, a)
						}
						if p.RowBytes = 4 * w; wide {
							p.RGBA, p.RowBytes = nil, 8*w
						} else {
							p.Wide = nil
						}
						pic, err := fromHEIF(t.Context(), &heif.Container{AVIF: avif, Rotate: turn, Mirror: mirror}, p, Limits{})
						if err != nil {
							t.Fatal(err)
						}
						im := pic.RGB()
						for i, v := range want {
							x, y, cw, ch := i%w, i/w, w, h
							for range turn {
								if avif {
									x, y, cw, ch = y, cw-1-x, ch, cw
								}
							}
							if avif && mirror == heif.LeftRight {
								x = cw - 1 - x
							} else if avif && mirror == heif.TopBottom {
								y = ch - 1 - y
							}
							if im.Width != cw || im.Height != ch {
								t.Fatalf("%d × %d after %d turns", im.Width, im.Height, turn)
							}
							closeTo(t, fmt.Sprintf("avif %v, turn %d, mirror %v, wide %v", avif, turn, mirror, wide), im.Pix[3*(y*cw+x):], v,
								0.51)
						}
					}
				}
			}
		}
	}
}

// The colours of JPEG: JFIF's formulas, and inks stored as 255 less the ink.
func TestJPEGColours(t *testing.T) {
	s := rng.New(14)
	const w, h = 9, 5
	for model, channels := range map[jpeg.Model]int{jpeg.Grey: 1, jpeg.RGB: 3, jpeg.YCC: 3, jpeg.CMYK: 4, jpeg.YCCK: 4} {
		var planes []jpeg.Plane
		for range channels {
			planes = append(planes, jpeg.Plane{Pix: drawn(s, 16*h), Stride: 16, Width: w, Height: h, H: 1, V: 1})
		}
		p := newSamples(planes, &jpeg.Header{Width: w, Height: h})
		p.model = model
		im := p.RGB()
		if g := p.Geometry(); im.Width != w || im.Height != h || g.W != w || g.FullH != h || g.ExtW != w || g.ExtH != h ||
			g.X != 0 {
			t.Fatalf("%d × %d, %+v", im.Width, im.Height, g)
		}
		for y := range h {
			for x := range w {
				var c [4]float64
				for i := range planes {
					c[i] = float64(planes[i].Pix[16*y+x])
				}
				l, u, v, ink := c[0], c[1]-128, c[2]-128, c[3]/255
				ycc := [3]float64{clip8(l + 1.402*v), clip8(l - 0.344136*u - 0.714136*v), clip8(l + 1.772*u)}
				want := map[jpeg.Model][3]float64{
					jpeg.Grey: {l, l, l}, jpeg.RGB: {c[0], c[1], c[2]}, jpeg.YCC: ycc,
					jpeg.CMYK: {c[0] * ink, c[1] * ink, c[2] * ink},
					jpeg.YCCK: {(255 - ycc[0]) * ink, (255 - ycc[1]) * ink, (255 - ycc[2]) * ink},
				}[model]
				closeTo(t, fmt.Sprintf("model %v at %d, %d", model, x, y), im.Pix[3*(w*y+x):], want,
					map[bool]float64{true: 1.02, false: 0.52}[model == jpeg.YCCK])
			}
		}
		row := make([]uint64, 4)
		p.Pack(row, 2, 3)
		for i, v := range row {
			if q := im.Pix[3*(2*w+3+i):]; v != rgb(q[0], q[1], q[2]) {
				t.Fatalf("model %v: pixel %d of a part is %x, not %v", model, i, v, q[:3])
			}
		}
	}
}
