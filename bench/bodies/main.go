// Command bodies writes, for each ONNX file of a folder, the model from its image to its
// features, as training a head would run it, and prints what the features are.
//
//	go run ./bench/bodies NETWORKS OUT
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

func main() {
	files, _ := filepath.Glob(filepath.Join(os.Args[1], "*.onnx"))
	for _, path := range files {
		fmt.Printf("%s\t%s\n", filepath.Base(path), one(path, filepath.Join(os.Args[2], filepath.Base(path))))
	}
}

func one(path, out string) string {
	m, err := graph.Read(path)
	if err != nil {
		return err.Error()
	}
	tensor, _, err := surgery.FindCut(m)
	if err != nil {
		return err.Error()
	}
	c, err := surgery.At(m, tensor)
	if err != nil {
		return err.Error()
	}
	f, err := surgery.FeaturesOf(m, c)
	if err != nil {
		return err.Error()
	}
	if err := f.Write(out); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s\t%s\tbatch %d", tensor, c, f.Inputs()[0].Batch())
}
