// Package cubic has the kernel of cubic convolution, by which pictures and tables are resampled.
package cubic

import "math"

// Keys is the weight of a value at a distance x, in steps of the old values; 0 from 2 on.
// a is the slope at 1: -0.5 in Pillow, -0.75 in PyTorch and ONNX.
// Source: Keys 1981, Cubic convolution interpolation for digital image processing.
func Keys(x, a float64) float64 {
	switch x = math.Abs(x); {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return ((a*x-5*a)*x+8*a)*x - 4*a
	}
	return 0
}
