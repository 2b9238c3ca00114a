// Package columns computes what the columns of a table of features have in common.
package columns

// Moments are the mean of each column of rows and its variance, the mean square of
// what differs from that mean. rows is [n, d], n at least 1; both results are [d].
func Moments(rows [][]float32) (mean, variance []float64) {
	mean, variance = make([]float64, len(rows[0])), make([]float64, len(rows[0]))
	for _, r := range rows {
		for j, v := range r {
			mean[j] += float64(v)
		}
	}
	n := float64(len(rows))
	for j := range mean {
		mean[j] /= n
	}
	for _, r := range rows {
		for j, v := range r {
			d := float64(v) - mean[j]
			variance[j] += d * d
		}
	}
	for j := range variance {
		variance[j] /= n
	}
	return mean, variance
}
