package onnx_test

import (
	"math"
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
)

// TestFloats adds in memory that the device copies by itself (the CPU's here, or
// FINETUNE_TEST_DEVICE's), of two sizes and again after it was freed.
func TestFloats(t *testing.T) {
	onnxtest.Start(t)
	s, err := onnx.OpenBytes("add", addModel(t), []string{"a", "b"}, []string{"y"},
		onnx.Options{Threads: 1, Device: onnxtest.Device()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, n := range []int{3, 1 << 18, 3} {
		var hosts []*onnx.Host
		var tensors []*onnx.Tensor
		for range 3 {
			h, err := s.Floats(n)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range h.Data {
				if v != 0 {
					t.Fatalf("%g in fresh memory", v)
				}
			}
			x, err := onnx.Float32(h.Data, int64(n))
			if err != nil {
				t.Fatal(err)
			}
			hosts, tensors = append(hosts, h), append(tensors, x)
		}
		for i := range n {
			hosts[0].Data[i], hosts[1].Data[i] = float32(i), 0.5
		}
		if err := s.Run(tensors[:2], tensors[2:]); err != nil {
			t.Fatal(err)
		}
		for i, v := range hosts[2].Data {
			if v != float32(i)+0.5 {
				t.Fatalf("%d: y[%d] = %g", n, i, v)
			}
		}
		for i, h := range hosts {
			tensors[i].Close()
			h.Close()
			h.Close()
		}
	}
	for _, n := range []int{0, -1} {
		if _, err := s.Floats(n); err == nil {
			t.Errorf("memory for %d numbers", n)
		}
	}
	if h, err := s.Floats(math.MaxInt64 / 16); err == nil {
		h.Close()
		t.Error("memory for 2 EB")
	} else if !strings.Contains(err.Error(), "memory that the device reads") {
		t.Error(err)
	}
}
