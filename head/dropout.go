package head

import "finetune/internal/rng"

// Dropout zeroes each value with probability P in training and multiplies the
// others by 1/(1-P); in evaluation it does nothing.
//
// The mask of a step is named by (seed, layer, step) alone: bit i%64 of word i/64
// of feature j keeps row i. P is rounded to a multiple of 2^-16.
// Source: Srivastava et al. 2014, inverted form.
type Dropout struct{ P float64 }

// scale is what a kept value is multiplied by.
func (d Dropout) scale() float32 { return float32(1 / (1 - d.P)) }

const maskBits = 16

// keep is the probability of keeping a value, of 1<<maskBits.
func (d Dropout) keep() uint { return uint(float64(uint(1)<<maskBits)*(1-d.P) + .5) }

// mask fills words with random bits that are 1 with probability 1-P. A word
// takes a draw for each binary digit of 1-P from its last 1 upwards, combined by
// OR for a 1 and AND for a 0: P = .5 costs one draw for 64 values, .25 two.
func (d Dropout) mask(words []uint64, s rng.Stream) {
	keep, low := d.keep(), 0
	for low < maskBits && keep>>low&1 == 0 {
		low++
	}
	for i := range words {
		r := uint64(0)
		if keep == 1<<maskBits {
			r = ^r
		}
		for b := low; b < maskBits; b++ {
			if draw := s.Uint64(); keep>>b&1 == 1 {
				r |= draw
			} else {
				r &= draw
			}
		}
		words[i] = r
	}
}

// apply multiplies kept values by scale and zeroes the others.
func (d Dropout) apply(x []float32, mask []uint64) {
	s := d.scale()
	for i, v := range x {
		if mask[i/64]>>(i%64)&1 == 1 {
			x[i] = v * s
		} else {
			x[i] = 0
		}
	}
}
