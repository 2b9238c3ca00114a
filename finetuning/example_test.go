package finetuning_test

import (
	"fmt"
	"log"

	"finetune/finetuning"
)

// One step of three layer groups.
func Example() {
	var images []float32 // [n, 3, size, size]
	var labels finetuning.Labels
	t, err := finetuning.Open("run/artifacts", finetuning.Options{Seed: 7, MicroBatch: 8})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	loss, logits, err := t.Step(images, labels, finetuning.Rates{Rates: []float64{1e-4, 1e-3, 1e-2}, Momentum: 0.9})
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(loss, logits)
}
