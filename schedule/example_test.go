package schedule_test

import (
	"fmt"

	"finetune/schedule"
)

// The rate falls by half a cosine and starts again.
func Example() {
	base := 0.01
	s := schedule.SGDR{Batches: 2, CycleLen: 1, Mult: 2, Cycles: 2}
	for step := range s.Steps() {
		fmt.Printf("%.4f\n", base*s.Factor(step)) // the same factor for every layer group
	}
	// Output:
	// 0.0001
	// 0.0050
	// 0.0100
	// 0.0085
	// 0.0050
	// 0.0015
}
