package digest_test

import (
	"fmt"
	"log"

	"finetune/internal/digest"
)

// The name of a file by its content, and of it at a size.
func Example() {
	sum, err := digest.File("body.onnx")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum, digest.Of(sum, "224 px"))
}
