package heif_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"finetune/internal/heif"
)

// The picture of a photograph from a telephone.
func Example() {
	data, err := os.ReadFile("photo.heic")
	if err != nil {
		log.Fatal(err)
	}
	c, err := heif.Open(data) // the container: sizes and turns; no pixels
	if err != nil {
		log.Fatal(err)
	}
	p, err := c.Decode(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p != nil)
}
