package augment

import (
	"math"

	"finetune/augment/picture"
	"finetune/internal/cubic"
)

// Resampling as Pillow does it, to the last bit: two passes, the horizontal one first, in integers of 22 bits after the
// point, each rounded to 8 bits. The filter widens with the reduction. Source: Pillow src/libImaging/Resample.c.

// Resamplers of Pillow, as flags spell them.
const (
	Bilinear = "bilinear"
	Bicubic  = "bicubic"
	Lanczos  = "lanczos"
)

// kernel is a filter and how far it reaches where nothing is reduced.
type kernel struct {
	reach float64
	at    func(x float64) float64
}

var pillow = map[string]kernel{
	Bilinear: {1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }},
	Bicubic:  {2, func(x float64) float64 { return cubic.Keys(x, -0.5) }},
	Lanczos: {3, func(x float64) float64 {
		if x < -3 || x >= 3 {
			return 0
		}
		return sinc(x) * sinc(x/3)
	}},
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

const pillowBits = 22

// kernelTaps are the weights of outputs from..from+n-1 of an axis of out pixels over a source of in pixels.
type kernelTaps struct {
	first  []int
	weight [][]int
}

func (k kernel) taps(in, out, from, n int) kernelTaps {
	scale := float64(in) / float64(out)
	wide := max(scale, 1)
	support, shrink := k.reach*wide, 1/wide
	t := kernelTaps{make([]int, n), make([][]int, n)}
	values := make([]float64, 0, 2*int(math.Ceil(support))+1)
	for i := range n {
		centre := (float64(from+i) + 0.5) * scale
		lo := max(int(centre-support+0.5), 0)
		hi := min(int(centre+support+0.5), in)
		values = values[:0]
		sum := 0.0
		for x := lo; x < hi; x++ {
			w := k.at((float64(x) - centre + 0.5) * shrink)
			values = append(values, w)
			sum += w
		}
		weights := make([]int, len(values))
		for j, w := range values {
			if sum != 0 {
				w /= sum
			}
			weights[j] = int(w*(1<<pillowBits) + math.Copysign(0.5, w))
		}
		t.first[i], t.weight[i] = lo, weights
	}
	return t
}

// resize is the window of im scaled to win.w × win.h pixels.
func (k kernel) resize(im *picture.Image, win window) *picture.Image {
	cols, rows := k.taps(im.Width, win.w, win.x0, win.nx), k.taps(im.Height, win.h, win.y0, win.ny)
	top, bottom := rows.first[0], rows.first[win.ny-1]+len(rows.weight[win.ny-1])
	across := im.Pix[3*im.Width*top : 3*im.Width*bottom]
	if win.w != im.Width || win.nx != im.Width {
		across = make([]uint8, 3*win.nx*(bottom-top))
		for y := range bottom - top {
			line, out := im.Pix[3*im.Width*(top+y):][:3*im.Width], across[3*win.nx*y:][:3*win.nx]
			for x, weights := range cols.weight {
				src := line[3*cols.first[x]:]
				r, g, b := half, half, half
				for j, w := range weights {
					r += w * int(src[3*j])
					g += w * int(src[3*j+1])
					b += w * int(src[3*j+2])
				}
				out[3*x], out[3*x+1], out[3*x+2] = clip(r), clip(g), clip(b)
			}
		}
	}
	small := &picture.Image{Width: win.nx, Height: win.ny, Pix: make([]uint8, 3*win.nx*win.ny)}
	if win.h == im.Height && win.ny == im.Height {
		copy(small.Pix, across)
		return small
	}
	width := 3 * win.nx
	sums := make([]int, width)
	for y, weights := range rows.weight {
		for x := range sums {
			sums[x] = half
		}
		for j, w := range weights {
			for x, v := range across[width*(rows.first[y]-top+j):][:width] {
				sums[x] += w * int(v)
			}
		}
		for x, v := range sums {
			small.Pix[width*y+x] = clip(v)
		}
	}
	return small
}

const half = 1 << (pillowBits - 1)

func clip(v int) uint8 { return uint8(max(0, min(v>>pillowBits, 255))) }

// pillowSize scales the smaller side of w × h to t, the other in proportion, rounded down, as torchvision does.
func pillowSize(w, h, t int) (int, int) {
	if w <= h {
		return t, max(h*t/w, 1)
	}
	return max(w*t/h, 1), t
}

// offset is where the crop of a side begins.
func (p Preprocess) offset(side int) int {
	free := side - p.Size
	if !p.Floor && free%4 == 3 { // a half, whose even neighbour is above
		return free/2 + 1
	}
	return free / 2
}

// pillowView is the validation view by one of Pillow's filters: scaled to side, or squashed to side × side, and
// the middle of it.
func (p Preprocess) pillowView(dst []float32, im *picture.Image) {
	w, h := p.side(), p.side()
	if p.Crop != "no" {
		w, h = pillowSize(im.Width, im.Height, p.side())
	}
	small := pillow[p.Resample].resize(im, window{w, h, p.offset(w), p.offset(h), p.Size, p.Size})
	table, plane := p.table(), p.Size*p.Size
	for i := range plane {
		for c := range 3 {
			dst[c*plane+i] = table[c][small.Pix[3*i+c]]
		}
	}
}
