package augment

import "math"

// area resamples src to w × h as OpenCV's INTER_AREA does on float32: the mean
// over each cell when both axes shrink, otherwise linear interpolation with
// OpenCV's own phase on both. Source: OpenCV modules/imgproc/src/resize.cpp.
// Products and sums are rounded in OpenCV's order. dst must not share memory with src.
func area(dst *raster, src floatRows, w, h int) {
	dst.shape(w, h)
	srcW, srcH := src.size()
	if w == srcW && h == srcH {
		for y := range h {
			copy(dst.row(y), src.row(y))
		}
		return
	}
	xs, ys := areaAxes(srcW, srcH, w, h)
	line := make([]float32, 3*w)
	ready := -1
	for y := range h {
		out := dst.row(y)
		clear(out)
		for _, t := range ys.of(y) {
			if t.at != ready { // a row between two cells serves both
				xs.pass(line, src.row(t.at))
				ready = t.at
			}
			for i, v := range line {
				out[i] += float32(t.weight * v)
			}
		}
	}
}

// tap is one weighted source sample.
type tap struct {
	at     int
	weight float32
}

// axis lists the taps of every output, all in one piece of memory.
type axis struct {
	taps []tap
	end  []int // output d has taps[end[d-1]:end[d]]
}

func newAxis(outputs, tapsEach int) *axis {
	return &axis{taps: make([]tap, 0, outputs*tapsEach), end: make([]int, 0, outputs)}
}

func (a *axis) of(d int) []tap {
	if d == 0 {
		return a.taps[:a.end[0]]
	}
	return a.taps[a.end[d-1]:a.end[d]]
}

func areaAxes(srcW, srcH, w, h int) (xs, ys *axis) {
	if w <= srcW && h <= srcH {
		return shrinkAxis(srcW, w), shrinkAxis(srcH, h)
	}
	return enlargeAxis(srcW, w), enlargeAxis(srcH, h)
}

// shrinkAxis weighs samples by their overlap with the cell of each output;
// overlaps below 1e-3 of a sample at either end are dropped.
func shrinkAxis(src, dst int) *axis {
	scale := 1 / (float64(dst) / float64(src)) // OpenCV's two roundings
	a := newAxis(dst, int(scale)+3)
	for d := range dst {
		from := float64(d) * scale
		to := from + scale
		width := min(scale, float64(src)-from)
		last := min(int(math.Floor(to)), src-1)
		first := min(int(math.Ceil(from)), last)
		if float64(first)-from > 1e-3 {
			a.taps = append(a.taps, tap{first - 1, float32((float64(first) - from) / width)})
		}
		for s := first; s < last; s++ {
			a.taps = append(a.taps, tap{s, float32(1 / width)})
		}
		if to-float64(last) > 1e-3 {
			a.taps = append(a.taps, tap{last, float32(min(to-float64(last), 1, width) / width)})
		}
		a.end = append(a.end, len(a.taps))
	}
	return a
}

// enlargeAxis interpolates between two neighbours with the phase that area mode has.
func enlargeAxis(src, dst int) *axis {
	inverse := float64(dst) / float64(src)
	scale := 1 / inverse
	a := newAxis(dst, 2)
	for d := range dst {
		s := int(math.Floor(float64(d) * scale))
		f := max(float32(float64(d+1)-float64(s+1)*inverse), 0)
		f -= float32(math.Floor(float64(f)))
		if s >= src-1 {
			a.taps = append(a.taps, tap{src - 1, 1})
		} else {
			a.taps = append(a.taps, tap{s, 1 - f}, tap{s + 1, f})
		}
		a.end = append(a.end, len(a.taps))
	}
	return a
}

// pass applies the axis to one row of RGB pixels.
func (a *axis) pass(dst, src []float32) {
	for x := range a.end {
		var r, g, b float32
		for _, t := range a.of(x) {
			p := src[3*t.at : 3*t.at+3 : 3*t.at+3]
			r += float32(t.weight * p[0])
			g += float32(t.weight * p[1])
			b += float32(t.weight * p[2])
		}
		d := dst[3*x : 3*x+3 : 3*x+3]
		d[0], d[1], d[2] = r, g, b
	}
}
