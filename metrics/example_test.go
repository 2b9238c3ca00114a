package metrics_test

import (
	"fmt"
	"math"

	"finetune/metrics"
)

// How good predictions are.
func Example() {
	log := func(p float64) float32 { return float32(math.Log(p)) }
	logp := []float32{log(.9), log(.1), log(.4), log(.6), log(.7), log(.3)} // [3, 2]
	labels, classes := []int{0, 1, 1}, 2
	fmt.Printf("%.2f\n", metrics.Accuracy(logp, labels, classes))
	fmt.Println(metrics.Confusion(logp, labels, classes))
	// Output:
	// 0.67
	// [[1 0] [1 1]]
}
