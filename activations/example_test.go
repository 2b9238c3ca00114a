package activations_test

import (
	"context"
	"fmt"
	"log"

	"finetune/activations"
	"finetune/dataset"
)

// Features of photographs that are computed once.
func Example() {
	var (
		key   activations.Key  // of body, cut and preprocessing
		body  activations.Body // computes rows of features
		load  activations.Load // turns a file into the body's input
		items []dataset.Item
	)
	cache, err := activations.Open("cache", key, 1024)
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	report, err := cache.Fill(context.Background(), items, body, load, activations.FillOptions{})
	if err != nil {
		log.Print(err)
		return
	}
	x, ok := cache.Rows(items) // float32 [len(items), 1024]
	fmt.Println(report, len(x), ok)
}
