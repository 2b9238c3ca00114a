package tiff_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"finetune/internal/tiff"
)

// The samples of a page.
func Example() {
	data, err := os.ReadFile("photo.tif")
	if err != nil {
		log.Fatal(err)
	}
	p, err := tiff.Open(data) // the page to show; no pixels
	if err != nil {
		log.Fatal(err)
	}
	s, err := p.Decode(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s != nil)
}
