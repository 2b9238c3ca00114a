package onnx_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// endless is a network that doubles x more often than anybody can wait for.
func endless(t *testing.T) []byte {
	t.Helper()
	inner := graph.NewBuilder("again", 13)
	inner.Input("i", graph.Int64)
	inner.Input("go on", graph.Bool)
	inner.Input("sum", graph.Float32, "n")
	inner.Node("Identity", "go on then", []string{"go on"})
	inner.Node("Add", "more", []string{"sum", "sum"})
	inner.Output("go on then", graph.Bool)
	inner.Output("more", graph.Float32, "n")
	outer := graph.NewBuilder("endless", 13)
	outer.Input("x", graph.Float32, "n")
	trips := outer.Ints("trips", nil, []int64{math.MaxInt64})
	always := outer.InitTensor(&onnxpb.TensorProto{Name: proto.String("always"), DataType: proto.Int32(graph.Bool),
		Int32Data: []int32{1}})
	outer.NodeN("Loop", []string{trips, always, "x"}, []string{"y"}, &onnxpb.AttributeProto{Name: proto.String("body"),
		Type: onnxpb.AttributeProto_GRAPH.Enum(), G: inner.Model().Graph})
	outer.Output("y", graph.Float32, "n")
	model, err := outer.Model().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func TestTerminateEndsANetworkThatLoops(t *testing.T) {
	onnxtest.Start(t)
	s, err := onnx.OpenBytes("endless", endless(t), []string{"x"}, []string{"y"}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x, err := onnx.Float32([]float32{1, 2}, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	onnx.Terminate() // nothing goes on
	for range 2 {    // a session serves again afterwards
		done := make(chan error, 1)
		go func() { done <- s.Run([]*onnx.Tensor{x}, []*onnx.Tensor{nil}) }()
		select {
		case err := <-done:
			t.Fatalf("the network ends by itself: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		onnx.Terminate()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a terminated run gives %v, want a context.Canceled", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the run goes on")
		}
	}
}
