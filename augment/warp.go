package augment

import "math"

// rotate turns src by degrees about (w/2, h/2), whole pixels, counter-clockwise
// on screen, into dst of the same size: bilinear between samples that step by
// 1/32 of a pixel, borders reflected with the edge repeated. Coordinates and
// weights are those of OpenCV's warpAffine up to 4.10
// (modules/imgproc/src/imgwarp.cpp), to the bit. dst must not share memory with src.
func rotate(dst, src *raster, degrees float64) {
	dst.shape(src.w, src.h)
	m := inverseRotation(float64(src.w/2), float64(src.h/2), degrees)
	const one, half = 1 << 10, 1 << 4 // AB_SCALE; half a 32nd of it
	columns := make([][2]int, src.w)
	for x := range columns {
		columns[x] = [2]int{rint(m[0] * float64(x) * one), rint(m[3] * float64(x) * one)}
	}
	for y := range src.h {
		x0 := rint((m[1]*float64(y)+m[2])*one) + half
		y0 := rint((m[4]*float64(y)+m[5])*one) + half
		out := dst.row(y)
		for x, c := range columns {
			sample(out[3*x:3*x+3:3*x+3], src, (x0+c[0])>>5, (y0+c[1])>>5)
		}
	}
}

func rint(v float64) int { return int(math.RoundToEven(v)) }

// inverseRotation maps destination to source: getRotationMatrix2D, inverted as warpAffine inverts.
func inverseRotation(cx, cy, degrees float64) [6]float64 {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	m := [6]float64{cos, sin, (1-cos)*cx - sin*cy, -sin, cos, sin*cx + (1-cos)*cy}
	d := m[0]*m[4] - m[1]*m[3]
	if d != 0 {
		d = 1 / d
	}
	a, b, c, e := m[4]*d, -m[1]*d, -m[3]*d, m[0]*d
	return [6]float64{a, b, -a*m[2] - b*m[5], c, e, -c*m[2] - e*m[5]}
}

// sample interpolates at (x, y), given in 32nds of a pixel.
func sample(dst []float32, src *raster, x, y int) {
	fx, fy := float32(x&31)/32, float32(y&31)/32
	w0, w1, w2, w3 := (1-fy)*(1-fx), (1-fy)*fx, fy*(1-fx), fy*fx
	x, y = x>>5, y>>5
	x1, y1 := x+1, y+1
	if uint(x) >= uint(src.w-1) || uint(y) >= uint(src.h-1) {
		x, x1, y, y1 = reflect(x, src.w), reflect(x1, src.w), reflect(y, src.h), reflect(y1, src.h)
	}
	top, bottom := src.pix[3*y*src.w:], src.pix[3*y1*src.w:]
	a, b := top[3*x:3*x+3:3*x+3], top[3*x1:3*x1+3:3*x1+3]
	c, d := bottom[3*x:3*x+3:3*x+3], bottom[3*x1:3*x1+3:3*x1+3]
	for i := range dst[:3] {
		dst[i] = float32(a[i]*w0) + float32(b[i]*w1) + float32(c[i]*w2) + float32(d[i]*w3)
	}
}

// reflect folds i into 0..n-1 as cba|abc|cba: edge samples repeat.
func reflect(i, n int) int {
	for i < 0 || i >= n {
		if i < 0 {
			i = -1 - i
		} else {
			i = 2*n - 1 - i
		}
	}
	return i
}
