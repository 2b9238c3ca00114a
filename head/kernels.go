package head

// blend computes y = a*y + b*x.
func blend(y []float32, a float32, x []float32, b float32) {
	x = x[:len(y)]
	for i, v := range y {
		y[i] = a*v + b*x[i]
	}
}
