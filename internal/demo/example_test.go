package demo_test

import (
	"context"
	"fmt"
	"log"

	"finetune/internal/demo"
)

// A small data set of photographs, fetched once.
func Example() {
	dir, err := demo.Prepare(context.Background(), demo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(dir) // has train/defective/cell0001.png … valid/functional/cell2624.png
}
