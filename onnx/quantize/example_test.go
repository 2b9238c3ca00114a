package quantize_test

import (
	"fmt"
	"log"

	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/quantize"
)

// An image network in 8-bit integers, calibrated on some images, and in half precision.
func Example() {
	model, err := graph.Read("model.onnx")
	if err != nil {
		log.Fatal(err)
	}
	folded, err := quantize.Fold(model) // no BatchNormalization behind Conv
	if err != nil {
		log.Fatal(err)
	}
	images := quantize.Images{
		Count: 128, Shape: []int64{1, 3, 224, 224},
		Load: func(i int, x []float32) (bool, error) { return true, nil }, // image i into x
	}
	ranges, err := quantize.Observe(folded, images, onnx.Options{}) // what each activation spans
	if err != nil {
		log.Fatal(err)
	}
	small, err := quantize.Int8(folded, ranges) // pairs of QuantizeLinear and DequantizeLinear
	if err != nil {
		log.Fatal(err)
	}
	half, err := quantize.HalfWhole(folded)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(small.Graph.Node), len(half.Graph.Node))
}
