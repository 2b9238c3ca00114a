package artifacts_test

import (
	"fmt"
	"log"

	"finetune/onnx/artifacts"
	"finetune/onnx/graph"
)

// The graphs that train a body and a head of two classes.
func Example() {
	body, err := graph.Read("resnet34-features.onnx")
	if err != nil {
		log.Fatal(err)
	}
	m, err := artifacts.Write("out", artifacts.Options{
		Body: body, Head: artifacts.Head{Hidden: []int{512}, Classes: 2}, Size: 224,
		Groups: []artifacts.Group{{Name: "body", Parameters: []string{"conv1.weight"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(m.Params), m.Memory.Of(8))
}
