// Package dims counts the elements of tensors.
package dims

import "math"

// Product is the number of elements of a tensor: the product of its dimensions,
// 1 for a scalar. It is -1 where a dimension is negative, which stands for one
// that is not known, or where the product passes the largest int64.
func Product(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt64/d {
			return -1
		}
		n *= d
	}
	return n
}
