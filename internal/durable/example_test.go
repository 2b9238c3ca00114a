package durable_test

import (
	"encoding/json"
	"io"
	"log"

	"finetune/internal/durable"
)

// A file that appears whole or not at all.
func Example() {
	err := durable.Write("result.json", func(w io.Writer) error { return json.NewEncoder(w).Encode([]int{1, 2}) })
	if err != nil {
		log.Fatal(err)
	}
}
