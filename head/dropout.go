package head

import "finetune/internal/rng"

// Dropout zeroes each value with probability P in training and multiplies the
// others by 1/(1-P); in evaluation it does nothing.
//
// The mask of a step is named by (seed, layer, step) alone: bit j%64 of word
// (i, j/64) keeps value (i, j). Source: Srivastava et al. 2014, inverted form.
type Dropout struct{ P float64 }

// scale is what a kept value is multiplied by.
func (d Dropout) scale() float32 { return float32(1 / (1 - d.P)) }

// maskBits is the precision of P in a mask: probabilities are multiples of 2^-16.
const maskBits = 16

// mask fills words with random bits that are 1 with probability 1-P. Each word
// takes up to maskBits draws, combined by the binary digits of 1-P from the last
// 1 upwards (r AND draw for a 0, r OR draw for a 1): .5 costs one draw, .25 two.
func (d Dropout) mask(words []uint64, s *rng.Stream) {
	keep := uint(float64(uint(1)<<maskBits)*(1-d.P) + .5)
	if keep == 1<<maskBits {
		for i := range words {
			words[i] = ^uint64(0)
		}
		return
	}
	low := 0
	for low < maskBits && keep>>low&1 == 0 {
		low++
	}
	for i := range words {
		r := uint64(0)
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
