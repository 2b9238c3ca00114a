package onnx

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"finetune/internal/fetch"
	"finetune/onnx/graph"
)

var automatic struct {
	sync.Once
	device string
	why    error
}

// Chosen is the device that sessions on a device run on: "cpu" for "", and for
// "auto" "cuda" where the loaded library has the CUDA provider, an NVIDIA driver
// is present and a model of one node runs there, else "cpu". The error says why
// "auto" is the CPU although a driver and a provider are present. Start must have
// been called.
func Chosen(device string) (string, error) {
	switch device {
	case "":
		return "cpu", nil
	case "auto":
		automatic.Do(func() {
			automatic.device, automatic.why = "cpu", nil
			if hasCUDA(filepath.Dir(environment.runtime.Path)) && NVIDIADriver() {
				automatic.device, automatic.why = usable(environment.runtime.Path)
			}
		})
		return automatic.device, automatic.why
	}
	return device, nil
}

// usable is "cuda", or "cpu" and why.
func usable(library string) (string, error) {
	if fetch.CheckBeside(library) != nil {
		return "cuda", nil // opening a session says that files were changed
	}
	c, err := InspectCUDA(library)
	if err == nil {
		err = c.Problem()
	}
	if err == nil {
		err = Try("cuda")
	}
	if err != nil {
		return "cpu", err
	}
	return "cuda", nil
}

// Try doubles a number on device, with a model of one node.
func Try(device string) error {
	b := graph.NewBuilder("try", 17)
	x := b.Input("x", graph.Float32, 1)
	b.Output(b.Node("Add", "y", []string{x, x}), graph.Float32, 1)
	model, err := b.Model().Bytes()
	if err != nil {
		return err
	}
	s, err := OpenBytes("a model of one node", model, []string{"x"}, []string{"y"}, Options{Threads: 1, Device: device})
	if err != nil {
		return err
	}
	defer s.Close()
	in, out := []float32{21}, []float32{0}
	tx, errX := Float32(in, 1)
	ty, errY := Float32(out, 1)
	if err := errors.Join(errX, errY); err != nil {
		return err
	}
	defer tx.Close()
	defer ty.Close()
	if err := s.Run([]*Tensor{tx}, []*Tensor{ty}); err != nil {
		return err
	}
	if out[0] != 42 {
		return fmt.Errorf("ONNX Runtime on %s: 21 and 21 make %g", device, out[0])
	}
	return nil
}
