package augment

import (
	"math"

	"finetune/internal/rng"
)

// Numbers of the reference's named policies (transforms_basic and the defaults of its classes).
const (
	rotateDegrees  = 10
	rotateP        = 0.75
	zoomP          = 0.75
	lightingAmount = 0.05
	flipP          = 0.5
)

// canvas carries one image through its transforms; each reads cur and leaves
// its result there, swapping with spare where it cannot work in place.
type canvas struct {
	cur, spare raster
}

func (c *canvas) swap() { c.cur, c.spare = c.spare, c.cur }

// transform changes the image in c; random ones draw from s, always the same number of times.
type transform func(c *canvas, s *rng.Stream)

// randomRotate turns by U(-degrees, degrees) with probability p. Draws: angle, then whether.
func randomRotate(degrees, p float64) transform {
	return func(c *canvas, s *rng.Stream) {
		angle := s.Uniform(-degrees, degrees)
		if s.Float64() < p {
			rotate(&c.spare, &c.cur, angle)
			c.swap()
		}
	}
}

// randomLighting adds U(-b, b) and stretches about the mean by U(-c, c). Draws: brightness, contrast.
func randomLighting(brightness, contrast float64) transform {
	return func(c *canvas, s *rng.Stream) {
		b := s.Uniform(-brightness, brightness)
		lighting(&c.cur, b, s.Uniform(-contrast, contrast))
	}
}

// lighting computes clip((x-mean)*k + mean + b, 0, 1) in place, where mean is that
// of all pixels and channels, and k is 1+c, or 1/(1-c) for negative c.
func lighting(r *raster, b, c float64) {
	k := 1 + c
	if c < 0 {
		k = 1 / (1 - c)
	}
	var red, green, blue float64 // three sums, for three additions at a time
	for p := r.pix; len(p) >= 3; p = p[3:] {
		red, green, blue = red+float64(p[0]), green+float64(p[1]), blue+float64(p[2])
	}
	mean, k32, b32 := float32((red+green+blue)/float64(len(r.pix))), float32(k), float32(b)
	for i, v := range r.pix {
		r.pix[i] = max(0, min(float32((v-mean)*k32)+mean+b32, 1))
	}
}

// randomFlip mirrors left to right with probability p. Draws: whether.
func randomFlip(p float64) transform {
	return func(c *canvas, s *rng.Stream) {
		if s.Float64() < p {
			flip(&c.cur)
		}
	}
}

func flip(r *raster) {
	for y := range r.h {
		row := r.row(y)
		for i, j := 0, 3*(r.w-1); i < j; i, j = i+3, j-3 {
			for k := range 3 {
				row[i+k], row[j+k] = row[j+k], row[i+k]
			}
		}
	}
}

// randomUpset mirrors top to bottom with probability p. Draws: whether.
func randomUpset(p float64) transform {
	return func(c *canvas, s *rng.Stream) {
		if s.Float64() < p {
			upset(&c.cur)
		}
	}
}

func upset(r *raster) {
	for i, j := 0, r.h-1; i < j; i, j = i+1, j-1 {
		top, bottom := r.row(i), r.row(j)
		for k := range top {
			top[k], bottom[k] = bottom[k], top[k]
		}
	}
}

// randomDihedral turns by a multiple of 90 degrees and then mirrors, or not. Draws: turns, whether.
func randomDihedral() transform {
	return func(c *canvas, s *rng.Stream) {
		turns := s.Intn(4)
		mirror := s.Float64() < 0.5
		for range turns {
			quarterTurn(&c.spare, &c.cur)
			c.swap()
		}
		if mirror {
			flip(&c.cur)
		}
	}
}

// quarterTurn turns counter-clockwise.
func quarterTurn(dst, src *raster) {
	dst.shape(src.h, src.w)
	for y := range dst.h {
		out := dst.row(y)
		for x := range dst.w {
			copy(out[3*x:3*x+3], src.pix[3*(x*src.w+src.w-1-y):])
		}
	}
}

// addPadding reflects a border of p pixels on all sides.
func addPadding(p int) transform {
	return func(c *canvas, _ *rng.Stream) {
		src, dst := &c.cur, &c.spare
		dst.shape(src.w+2*p, src.h+2*p)
		for y := range dst.h {
			in, out := src.row(reflect(y-p, src.h)), dst.row(y)
			for x := range dst.w {
				copy(out[3*x:3*x+3], in[3*reflect(x-p, src.w):])
			}
		}
		c.swap()
	}
}

// randomCrop cuts size × size. Draws: row, column, as parts of the room there is;
// the last position is never taken, as in the reference.
func randomCrop(size int) transform {
	return func(c *canvas, s *rng.Stream) {
		u := s.Float64()
		v := s.Float64()
		cut(c, int(v*float64(c.cur.w-size)), int(u*float64(c.cur.h-size)), size, size)
	}
}

// centerCrop cuts size × size from the middle, the odd pixel left on the near side.
func centerCrop(size int) transform {
	return func(c *canvas, _ *rng.Stream) {
		cut(c, centred(c.cur.w, size), centred(c.cur.h, size), size, size)
	}
}

// centred returns ceil((side-size)/2).
func centred(side, size int) int { return (side - size + 1) / 2 }

func cut(c *canvas, x0, y0, w, h int) {
	c.spare.shape(w, h)
	for y := range h {
		copy(c.spare.row(y), c.cur.row(y0 + y)[3*x0:])
	}
	c.swap()
}

// squash resizes to size × size whatever the proportions (NoCrop of the reference).
func squash(size int) transform {
	return func(c *canvas, _ *rng.Stream) {
		area(&c.spare, &c.cur, size, size)
		c.swap()
	}
}

// googleNetResize cuts a random part of 8 to 100 % of the picture, its sides in
// proportion 0.75 to 1.333, and squashes it to size × size; after ten parts that
// do not fit it scales and crops the middle. Draws: whether sides swap; per try
// area and proportion; for the one that fits column, then row, where there is a choice.
func googleNetResize(size int) transform {
	return func(c *canvas, s *rng.Stream) {
		swap := s.Float64() < flipP
		w, h := c.cur.w, c.cur.h
		for range 10 {
			target := s.Uniform(0.08, 1) * float64(w*h)
			aspect := s.Uniform(0.75, 1.333)
			cw, ch := int(math.Sqrt(target*aspect)+0.5), int(math.Sqrt(target/aspect)+0.5)
			if swap {
				cw, ch = ch, cw
			}
			if cw < 1 || ch < 1 || cw > w || ch > h {
				continue
			}
			x := inclusive(s, w-cw)
			cut(c, x, inclusive(s, h-ch), cw, ch)
			squash(size)(c, s)
			return
		}
		sw, sh := scaledSize(w, h, size)
		area(&c.spare, &c.cur, sw, sh)
		c.swap()
		centerCrop(size)(c, s)
	}
}

// inclusive draws from 0..n, without a draw where n is 0.
func inclusive(s *rng.Stream, n int) int {
	if n == 0 {
		return 0
	}
	return s.Intn(n + 1)
}
