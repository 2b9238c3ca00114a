package onnx_test

import (
	"log"

	"finetune/onnx"
)

// A network on a batch of photographs.
func Example() {
	if _, err := onnx.Start(""); err != nil { // finds and loads the library, once
		log.Fatal(err)
	}
	s, err := onnx.OpenFile("body.onnx", []string{"input"}, []string{"features"}, onnx.Options{Threads: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	pixels, features := make([]float32, 8*3*224*224), make([]float32, 8*1024)
	x, err := onnx.Float32(pixels, 8, 3, 224, 224) // a view: nothing is copied
	if err != nil {
		log.Print(err)
		return
	}
	defer x.Close()
	y, err := onnx.Float32(features, 8, 1024)
	if err != nil {
		log.Print(err)
		return
	}
	defer y.Close()
	if err := s.Run([]*onnx.Tensor{x}, []*onnx.Tensor{y}); err != nil {
		log.Print(err)
	}
}
