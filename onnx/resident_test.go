package onnx_test

import (
	"runtime"
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
)

// TestResident adds in the memory of FINETUNE_TEST_DEVICE (the CPU's by default): outputs that are
// allocated stay there, are taken from there, written in place and copied out.
func TestResident(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: Linux only")
	}
	onnxtest.Start(t)
	open := func(resident bool) *onnx.Session {
		s, err := onnx.OpenBytes("add", addModel(t), []string{"a", "b"}, []string{"y"},
			onnx.Options{Threads: 1, Device: onnxtest.Device(), Resident: resident})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	host := func(v ...float32) *onnx.Tensor {
		x, err := onnx.Float32(v, int64(len(v)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { x.Close() })
		return x
	}
	s, plain := open(true), open(false)
	a, b := host(1, 2, 3), host(10, 20, 30)
	out := []*onnx.Tensor{nil}
	if err := s.Run([]*onnx.Tensor{a, b}, out); err != nil {
		t.Fatal(err)
	}
	sum := out[0]
	defer sum.Close()
	for range 3 {
		if err := s.Run([]*onnx.Tensor{sum, b}, []*onnx.Tensor{sum}); err != nil {
			t.Fatal(err)
		}
	}
	copied := host(0, 0, 0)
	if err := s.Run([]*onnx.Tensor{sum, a}, []*onnx.Tensor{copied}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{42, 84, 126} {
		if copied.Float32()[i] != want {
			t.Errorf("y[%d] = %g, want %g", i, copied.Float32()[i], want)
		}
	}
	for _, c := range []struct {
		want    string
		s       *onnx.Session
		in, out []*onnx.Tensor
	}{
		{"device's memory", plain, []*onnx.Tensor{sum, a}, []*onnx.Tensor{nil}},
		{"add", s, []*onnx.Tensor{a, host(1, 2)}, []*onnx.Tensor{nil}}, // shapes that do not add up
		{"1 inputs", s, []*onnx.Tensor{a}, []*onnx.Tensor{nil}},
	} {
		if err := c.s.Run(c.in, c.out); err == nil || !strings.Contains(err.Error(), c.want) || c.out[0] != nil {
			t.Errorf("error %v, want one with %q; output %v", err, c.want, c.out[0])
		}
	}
}
