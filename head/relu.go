package head

// relu replaces negative values by 0, in place; its gradient passes where the
// output is above 0.
func relu(x []float32) {
	for i, v := range x {
		x[i] = max(v, 0)
	}
}
