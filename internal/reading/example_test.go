package reading_test

import (
	"fmt"
	"log"

	"finetune/internal/reading"
)

// A file of at most 256 MiB.
func Example() {
	data, err := reading.File("photo.jpg", 256<<20)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(data))
}
