package graph_test

import (
	"fmt"
	"log"

	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// A classifier cut to the body that makes its features.
func Example() {
	m, err := graph.Read("resnet34.onnx") // lossless: unknown fields, functions and metadata stay
	if err != nil {
		log.Fatal(err)
	}
	cut, channels, err := surgery.FindCut(m)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cut, channels) // /layer4/layer4.2/relu_1/Relu_output_0 512
	body, err := surgery.Features(m, cut)
	if err != nil {
		log.Fatal(err)
	}
	if err := body.Write("resnet34-features.onnx"); err != nil { // image to features, float32 [N, 2*channels]
		log.Fatal(err)
	}
}
