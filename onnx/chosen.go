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
// "auto" "cuda" or "openvino" where the loaded library has that provider, the
// machine has what it is for (FindLibrary) and a model of one node runs there, else
// "cpu". The error says why "auto" is the CPU although all seems to be present. Start
// must have been called.
func Chosen(device string) (string, error) {
	switch device {
	case "":
		return "cpu", nil
	case "auto":
		automatic.Do(func() { automatic.device, automatic.why = best(environment.runtime.Path) })
		return automatic.device, automatic.why
	}
	return device, nil
}

// best is the device for "auto" of the library, and why it is "cpu" if that is no choice.
func best(library string) (string, error) {
	device := buildOf(filepath.Dir(library))
	wanted := map[string]bool{"cuda": NVIDIADriver(), openVINO: HasMatrices()}[device]
	if !wanted {
		return "cpu", nil
	}
	if fetch.CheckBeside(library) != nil {
		return device, nil // opening a session says that files were changed
	}
	var err error
	if device == "cuda" {
		var c CUDA
		if c, err = InspectCUDA(library); err == nil {
			err = c.Problem()
		}
	}
	if err == nil {
		err = Try(device)
	}
	if err != nil {
		return "cpu", err
	}
	return device, nil
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
