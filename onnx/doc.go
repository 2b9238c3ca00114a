// Package onnx runs ONNX models on ONNX Runtime and says who owns what memory.
//
//	rt, err := onnx.Start("")                       // finds and loads the library once
//	s, err := onnx.OpenFile("body.onnx", []string{"input"}, []string{"features"}, onnx.Options{Threads: 2})
//	defer s.Close()
//	x, err := onnx.Float32(pixels, 8, 3, 224, 224)  // a view: no copy
//	y, err := onnx.Float32(features, 8, 1024)
//	err = s.Run([]*onnx.Tensor{x}, []*onnx.Tensor{y})
//
// The library is loaded at run time, so that one binary serves the CPU and the
// CUDA build; see Start for where it is looked for.
package onnx
