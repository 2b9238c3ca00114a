package onnx_test

import (
	"runtime"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/graph"
)

// TestDenormalsAreZeroOnEveryThread: a product that is denormal is zero whichever
// thread of the process calls ONNX Runtime, so that equal runs give equal bytes.
func TestDenormalsAreZeroOnEveryThread(t *testing.T) {
	onnxtest.Start(t)
	b := graph.NewBuilder("tiny", 17)
	x := b.Input("x", graph.Float32, 1)
	b.Output(b.Node("Mul", "y", []string{x, b.Init("half", nil, []float32{0.5})}), graph.Float32, 1)
	model, err := b.Model().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.OpenBytes("tiny", model, []string{"x"}, []string{"y"}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const threads = 8
	got := make(chan float32, threads)
	for range threads {
		go func() {
			runtime.LockOSThread() // and never unlocked: each goroutine has a thread of its own
			in, out := []float32{0x1p-126}, []float32{1}
			tx, _ := onnx.Float32(in, 1)
			ty, _ := onnx.Float32(out, 1)
			if err := s.Run([]*onnx.Tensor{tx}, []*onnx.Tensor{ty}); err != nil {
				t.Error(err)
			}
			tx.Close()
			ty.Close()
			if in[0]/2 == 0 {
				t.Error("Go's own arithmetic on this thread lost its denormal numbers")
			}
			got <- out[0]
		}()
	}
	for range threads {
		if v := <-got; v != 0 {
			t.Errorf("half of the least normal number is %g, want 0", v)
		}
	}
}
