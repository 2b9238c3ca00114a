//go:build !linux

package onnx

import (
	"errors"

	ort "github.com/yalue/onnxruntime_go"
)

// binding exists where ONNX Runtime has a CUDA build that is supported here: on Linux.
type binding struct{}

func newBinding(*ort.DynamicAdvancedSession, string, []string, []string) (*binding, error) {
	return nil, errors.New("tensors stay in a device's memory on Linux only; use --device cpu")
}

func (*binding) run(in, out []*Tensor) error { return errors.New("not on this system") }
func (*binding) close()                      {}

func (*Session) floats(n int) (*Host, error) { return &Host{Data: make([]float32, n)}, nil }

func registerOneDNN(*ort.SessionOptions, int) error { return errors.New("not on this system") }
