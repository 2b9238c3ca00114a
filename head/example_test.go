package head_test

import (
	"fmt"
	"log"

	"finetune/head"
)

// A head of one hidden layer, trained for an epoch.
func Example() {
	var (
		rows, valid [][]float32 // of 1024 features each
		labels      []int
	)
	h, err := head.New(head.Config{In: 1024, Hidden: []int{512}, Drop: []float64{.25, .5}, Classes: 2, Seed: 7})
	if err != nil {
		log.Fatal(err)
	}
	t, err := head.NewTrainer(h, head.Options{Seed: 7})
	if err != nil {
		log.Fatal(err)
	}
	for i := range head.Batches(len(rows), 64) {
		lo, hi := head.Bounds(len(rows), 64, i)
		batch := head.Batch{Rows: rows[lo:hi], Labels: labels[lo:hi]}
		loss, err := t.Step(batch, head.Rates{LR: .01, Momentum: .9})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(loss)
	}
	logp, err := h.Predict(valid) // [len(valid), 2] log-probabilities
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(logp)
}
