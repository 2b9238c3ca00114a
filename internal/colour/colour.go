// Package colour knows what the mean and deviation of a body's colours can be.
package colour

import (
	"fmt"
	"slices"
)

// leastStd is below the smallest deviation in use: 1/65535, of a network that
// takes 16-bit samples as they are.
const leastStd = 1e-6

// Check refuses means and standard deviations of red, green and blue that pixels
// from 0 to 1 cannot have, before a network sees pictures that are nearly black.
func Check(mean, std [3]float32) error {
	inside := func(least float32) func(float32) bool {
		return func(v float32) bool { return v >= least && v <= 1 } // false for NaN
	}
	above := func(v float32) bool { return v > 1 && v <= 65535 }
	switch all := slices.Concat(mean[:], std[:]); {
	case slices.ContainsFunc(all, above):
		return fmt.Errorf("mean %v, std %v: pixels count from 0 to 1 here; divide by 255", mean, std)
	case slices.ContainsFunc(mean[:], func(v float32) bool { return !inside(0)(v) }):
		return fmt.Errorf("mean %v: a mean of pixels from 0 to 1 lies between 0 and 1", mean)
	case slices.ContainsFunc(std[:], func(v float32) bool { return !inside(leastStd)(v) }):
		return fmt.Errorf("std %v: a standard deviation of pixels from 0 to 1 is above 0 and at most 1", std)
	}
	return nil
}
