package jpeg_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"finetune/internal/jpeg"
)

// The samples of a photograph, as they are stored.
func Example() {
	data, err := os.ReadFile("photo.jpg")
	if err != nil {
		log.Fatal(err)
	}
	h, err := jpeg.ReadHeader(data) // what the file declares; no pixels
	if err != nil {
		log.Fatal(err)
	}
	planes, err := jpeg.Decode(context.Background(), data, h)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(planes))
}
