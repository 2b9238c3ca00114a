package weights_test

import (
	"fmt"
	"log"

	"finetune/onnx/weights"
)

// A tensor of a file of weights, whose format its content tells.
func Example() {
	state, err := weights.Read("resnet34-b627a593.pth") // .pth, zip or legacy, or .safetensors
	if err != nil {
		log.Fatal(err)
	}
	conv := weights.ByName(state)["conv1.weight"]
	fmt.Println(conv.Shape, len(conv.Data)) // [64 3 7 7] 9408
}
