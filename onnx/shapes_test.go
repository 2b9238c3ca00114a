package onnx_test

import (
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/graph"
)

// TestShapesAreTheModels: a tensor of another shape than the model declares is
// an error that says which, with every version of ONNX Runtime, of which some
// let it pass; in memory, from a file and where outputs stay on the device.
func TestShapesAreTheModels(t *testing.T) {
	onnxtest.Start(t)
	b := graph.NewBuilder("shapes", 17)
	x, k := b.Input("x", graph.Float32, "N", 2), b.Input("k", graph.Float32)
	sum := b.Node("ReduceSum", "", []string{b.Node("Mul", "", []string{x, k})}, graph.Int("keepdims", 0))
	b.Output(b.Node("Reshape", "y", []string{sum, b.Ints("one", []int64{1}, []int64{1})}), graph.Float32, 1)
	model := b.Model()
	data, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/shapes.onnx"
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	in, out := []string{"x", "k"}, []string{"y"}
	open := map[string]func(onnx.Options) (*onnx.Session, error){
		"bytes": func(o onnx.Options) (*onnx.Session, error) { return onnx.OpenBytes("shapes.onnx", data, in, out, o) },
		"file":  func(o onnx.Options) (*onnx.Session, error) { return onnx.OpenFile(path, in, out, o) },
	}
	tensor := func(shape ...int64) *onnx.Tensor {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		v, err := onnx.Float32(make([]float32, n), shape...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { v.Close() })
		return v
	}
	for from, open := range open {
		for _, resident := range []bool{false, true} {
			s, err := open(onnx.Options{Threads: 1, Resident: resident})
			if err != nil {
				if resident && strings.Contains(err.Error(), "Linux only") {
					continue
				}
				t.Fatal(err)
			}
			defer s.Close()
			for _, c := range []struct {
				x, k, y *onnx.Tensor
				want    string // part of the error, "" for none
			}{
				{tensor(3, 2), tensor(), tensor(1), ""},
				{tensor(1, 2), tensor(), nil, ""},
				{tensor(3, 2), tensor(), tensor(), `output "y" is given the shape [], the model declares [1]`},
				{tensor(3, 2), tensor(), tensor(1, 1), `output "y" is given the shape [1 1], the model declares [1]`},
				{tensor(3, 2), tensor(1), tensor(1), `input "k" is given the shape [1], the model declares []`},
				{tensor(3, 3), tensor(), tensor(1), `input "x" is given the shape [3 3], the model declares [N 2]`},
				{tensor(6), tensor(), tensor(1), `input "x" is given the shape [6], the model declares [N 2]`},
			} {
				y := []*onnx.Tensor{c.y}
				err := s.Run([]*onnx.Tensor{c.x, c.k}, y)
				if c.want == "" && err != nil ||
					c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) ||
						!strings.Contains(err.Error(), "shapes.onnx")) {
					t.Errorf("%s, resident %v: error %v, want %q", from, resident, err, c.want)
				}
				if c.y == nil {
					y[0].Close()
				}
			}
			if err := s.Run(nil, nil); err == nil || !strings.Contains(err.Error(), "0 inputs given for 2") {
				t.Errorf("no tensors at all: %v", err)
			}
		}
	}
}
