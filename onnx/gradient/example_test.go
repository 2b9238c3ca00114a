package gradient_test

import (
	"log"

	"finetune/onnx/gradient"
	"finetune/onnx/graph"
)

// The graph that trains the last layer of a classifier.
func Example() {
	model, err := graph.Read("classifier.onnx")
	if err != nil {
		log.Fatal(err)
	}
	m, err := gradient.WithCrossEntropy(model, "logits")
	if err != nil {
		log.Fatal(err)
	}
	g, err := gradient.Build(m, gradient.Objective, gradient.Options{Trainable: []string{"fc.weight", "fc.bias"}})
	if err != nil {
		log.Fatal(err)
	}
	// images, labels and parameters in; loss and gradients out
	if err := g.Model.Write("training_model.onnx"); err != nil {
		log.Fatal(err)
	}
}
