package logistic_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"finetune/logistic"
)

// Two classes that one feature tells apart.
func Example() {
	d := logistic.Data{Classes: 2, Rows: [][]float32{{1, 5}, {2, 4}, {8, 5}, {9, 4}}, Labels: []int{0, 0, 1, 1}}
	m, err := logistic.Fit(context.Background(), d, 1)
	if err != nil {
		log.Fatal(err)
	}
	logp := m.LogProbabilities([][]float32{{1.5, 4}}, false)
	fmt.Printf("%.2f\n", math.Exp(float64(logp[0])))
	// Output: 0.75
}
