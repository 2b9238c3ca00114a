package bodies_test

import (
	"fmt"
	"log"

	"finetune/onnx/bodies"
)

// A body by its name, as a network from photographs to features.
func Example() {
	body, err := bodies.Resolve("resnet34", bodies.Override{}) // or "FILE.onnx", or "" for the default
	if err != nil {
		log.Fatal(err)
	}
	model, err := bodies.FeatureModel(body) // image [N, 3, S, S] to features [N, 2*channels]
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(body.Path, body.Spec.Digest, body.Spec.Size, len(model.Graph.Node))
}
