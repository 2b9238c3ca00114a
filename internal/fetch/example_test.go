package fetch_test

import (
	"context"
	"fmt"
	"log"

	"finetune/internal/fetch"
)

// Weights of PyTorch's, compared with their digest.
func Example() {
	got, err := fetch.Get(context.Background(), "resnet34", fetch.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Path, got.SHA256, got.Fetched) // …/weights/resnet34.pth b627a593… true
}
