package augment

import (
	"image"
	"math"

	"github.com/nfnt/resize"

	"finetune/augment/picture"
)

// nfntLibrary is bilinear resampling by github.com/nfnt/resize itself: the plain
// version that packed.resize must equal byte for byte, and the one that serves
// reductions beyond its reach. dst is RGB [h, w, 3].
func nfntLibrary(dst []uint8, im *picture.Image, w, h int) {
	rgba := image.NewRGBA(image.Rect(0, 0, im.Width, im.Height))
	for i, j := 0, 0; i < len(im.Pix); i, j = i+3, j+4 {
		p := rgba.Pix[j : j+4 : j+4]
		p[0], p[1], p[2], p[3] = im.Pix[i], im.Pix[i+1], im.Pix[i+2], 255
	}
	out := resize.Resize(uint(w), uint(h), rgba, resize.Bilinear).(*image.RGBA)
	for y := range h {
		row := out.Pix[y*out.Stride:]
		for x := range w {
			d := dst[3*(y*w+x):]
			d[0], d[1], d[2] = row[4*x], row[4*x+1], row[4*x+2]
		}
	}
}

// packed resamples as nfntLibrary does, several times faster: the three channels
// of a pixel ride in one uint64, 21 bits each, so a tap is one multiplication;
// divisions by the sum of the weights are multiplications by its reciprocal; only
// the window of the result that is asked for is made, and no row is converted to
// RGB twice. Buffers are kept from image to image.
type packed struct {
	cols, rows taps
	line       []uint64   // one source row
	ring       [][]uint64 // source rows after the horizontal pass, by row modulo len
	acc        []uint64
}

// Bits of a packed pixel: a lane holds 255 times the sum of the weights.
const (
	lane      = picture.Lane
	laneMask  = 1<<lane - 1
	maxWeight = laneMask / 255
	divShift  = 40 // 255·maxWeight² < 2^40 makes the reciprocal exact
)

// taps is a one-dimensional filter: output i is the sum of weight[i*stride+k]
// times source first[i]+k over count[i] values of k, divided by the sum of the weights.
type taps struct {
	stride         int
	first, count   []int
	weight, divide []uint64
}

// set computes nfnt's weights (filters.go, createWeights8, bilinear kernel) for
// outputs from..from+n-1 of an axis of size out over a source of n pixels that
// starts at x and covers ext; taps beyond the ends fall on the end pixel. It
// reports false if a sum does not fit a lane.
func (t *taps) set(src int, x, ext float64, out, from, n int) bool {
	scale := ext / float64(out)
	span := 2 * int(max(math.Ceil(scale), 1))
	factor := min(1/scale, 1)
	t.stride = span
	t.first, t.count = grow(t.first, n), grow(t.count, n)
	t.weight, t.divide = grow(t.weight, n*span), grow(t.divide, n)
	clear(t.weight)
	for i := range n {
		at := scale*(float64(from+i)+0.5) - 0.5 + x
		start := int(at) - span/2 + 1
		at -= float64(start)
		w := t.weight[i*span : (i+1)*span]
		first, last, sum := -1, 0, uint64(0)
		for k := range span {
			c := uint64(max(0, int16((1-math.Abs((at-float64(k))*factor))*256)))
			if c == 0 {
				continue
			}
			s := max(0, min(start+k, src-1))
			if first < 0 {
				first = s
			}
			last = s
			w[s-first] += c
			sum += c
		}
		if sum == 0 || sum > maxWeight {
			return false
		}
		t.first[i], t.count[i], t.divide[i] = first, last-first+1, (1<<divShift+sum-1)/sum
	}
	return true
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// window is a part of a result of w × h pixels: columns x0..x0+nx-1, rows y0...
type window struct{ w, h, x0, y0, nx, ny int }

// resize calls emit with every row of the window, top to bottom, each pixel
// packed, valid until the next call. It reports false, having done nothing,
// where the reduction is too large for the packed form.
func (r *packed) resize(p picture.Source, win window, emit func(y int, row []uint64)) bool {
	g := p.Geometry()
	if !r.cols.set(g.W, g.X, g.ExtW, win.w, win.x0, win.nx) || !r.rows.set(g.H, g.Y, g.ExtH, win.h, win.y0, win.ny) {
		return false
	}
	lastCol := win.nx - 1
	left, right := r.cols.first[0], r.cols.first[lastCol]+r.cols.count[lastCol]
	r.line, r.acc = grow(r.line, right-left+r.cols.stride), grow(r.acc, win.nx)
	line := r.line[:right-left]
	for len(r.ring) < r.rows.stride {
		r.ring = append(r.ring, nil)
	}
	ready := r.rows.first[0] // the next source row to pass horizontally
	for y := range win.ny {
		first, count := r.rows.first[y], r.rows.count[y]
		for ready = max(ready, first); ready < first+count; ready++ {
			slot := &r.ring[ready%len(r.ring)]
			*slot = grow(*slot, win.nx)
			p.Pack(line, ready, left)
			r.cols.horizontal(*slot, r.line, left)
		}
		r.vertical(first, r.rows.weight[y*r.rows.stride:][:count], r.rows.divide[y])
		emit(y, r.acc)
	}
	return true
}

// horizontal makes the outputs of a row. line has t.stride-1 pixels more than
// the taps need: a weight of 0 may meet any of them.
func (t *taps) horizontal(dst, line []uint64, left int) {
	if t.stride == 4 { // reductions to a half, most of them: no loop whose length varies
		for i := range dst {
			w, src := (*[4]uint64)(t.weight[4*i:]), (*[4]uint64)(line[t.first[i]-left:])
			dst[i] = quotient(w[0]*src[0]+w[1]*src[1]+w[2]*src[2]+w[3]*src[3], t.divide[i])
		}
		return
	}
	for i := range dst {
		w := t.weight[i*t.stride:][:t.count[i]]
		src := line[t.first[i]-left:][:len(w)]
		var a uint64
		for k, c := range w {
			a += c * src[k]
		}
		dst[i] = quotient(a, t.divide[i])
	}
}

// quotient divides the three lanes of a, rounding down.
func quotient(a, divide uint64) uint64 {
	r, g, b := a&laneMask, a>>lane&laneMask, a>>(2*lane)
	return r*divide>>divShift | g*divide>>divShift<<lane | b*divide>>divShift<<(2*lane)
}

// vertical makes a row of the result from rows first, first+1, ... in the ring.
func (r *packed) vertical(first int, w []uint64, divide uint64) {
	row := func(k int) []uint64 { return r.ring[(first+min(k, len(w)-1))%len(r.ring)][:len(r.acc)] }
	acc := r.acc
	if len(w) <= 4 { // in one pass, a weight of 0 where there are fewer
		var c [4]uint64
		copy(c[:], w)
		a, b, d, e := row(0), row(1), row(2), row(3)
		for x := range acc {
			acc[x] = quotient(c[0]*a[x]+c[1]*b[x]+c[2]*d[x]+c[3]*e[x], divide)
		}
		return
	}
	clear(acc)
	for k, c := range w {
		for x, v := range row(k) {
			acc[x] += c * v
		}
	}
	for x, v := range acc {
		acc[x] = quotient(v, divide)
	}
}
