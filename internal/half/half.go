// Package half converts between float32 and IEEE 754 binary16, which has five bits of
// exponent and ten of fraction.
package half

import "math"

// Max is the greatest number of a binary16.
const Max = 65504

// From rounds to the nearest binary16, ties to even; beyond Max it is an infinity.
func From(x float32) uint16 { return Of(float64(x)) }

// Of is From of a float64.
func Of(x float64) uint16 {
	var sign uint16
	if math.Signbit(x) {
		sign = 0x8000
	}
	a := math.Abs(x)
	switch {
	case x != x:
		return sign | 0x7e00
	case a >= 65520: // half a step above the largest
		return sign | 0x7c00
	case a < 0x1p-14: // subnormal: steps of 2^-24
		return sign | uint16(math.RoundToEven(a*0x1p24))
	}
	frac, exp := math.Frexp(a) // a = frac * 2^exp, frac in [0.5, 1)
	m := math.RoundToEven(frac * 2048)
	return sign | uint16(int(m)-1024+(exp+14)<<10) // a carry moves into the exponent
}

// Float32 widens a binary16, each of which has an exact float32.
func Float32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, frac := uint32(h>>10)&31, uint32(h)&0x3ff
	switch exp {
	case 0: // zero or subnormal: frac * 2^-24
		return math.Float32frombits(math.Float32bits(float32(frac)*0x1p-24) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
