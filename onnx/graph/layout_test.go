package graph_test

import (
	"testing"

	"finetune/onnx/graph"
)

// TestLayoutByUse: of an image whose shape leaves it open.
func TestLayoutByUse(t *testing.T) {
	turn := func(b *graph.Builder, x string, perm ...int64) string {
		return b.Node("Transpose", "", []string{x}, graph.Ints("perm", perm...))
	}
	conv := func(b *graph.Builder, x, w string) string { return b.Node("Conv", "", []string{x, w}) }
	for i, c := range []struct {
		shape []any
		build func(b *graph.Builder, x, w string)
		want  string
	}{
		{[]any{"N", 1, 28, 28}, func(b *graph.Builder, x, w string) {}, "NCHW"},
		{[]any{"N", 28, 28, 1}, func(b *graph.Builder, x, w string) {}, "NHWC"},
		{[]any{"N", 4, 28, 28}, func(b *graph.Builder, x, w string) {}, ""},
		{[]any{"N", 1, 28, 3}, func(b *graph.Builder, x, w string) { turn(b, x, 0, 3, 1, 2) }, "NHWC"},
		{[]any{"N", 1, 28, 3}, func(b *graph.Builder, x, w string) { turn(b, x, 0, 2, 3, 1); conv(b, x, w) }, ""},
		{[]any{"N", 2, 28, 2}, func(b *graph.Builder, x, w string) { b.Node("MaxPool", "", []string{x}) }, "NCHW"},
		{[]any{"N", 2, 28, 2}, func(b *graph.Builder, x, w string) { b.Node("BatchNormalization", "", []string{x}) }, "NCHW"},
		{[]any{"N", 2, 28, 2}, func(b *graph.Builder, x, w string) {
			for _, op := range []string{"Add", "Sub", "Mul", "Div", "Cast", "Identity", "QuantizeLinear", "DequantizeLinear"} {
				x = b.Node(op, "", []string{x, w})
			}
			conv(b, x, w)
		}, "NCHW"},
		{[]any{"N", 2, 28, 2}, func(b *graph.Builder, x, w string) { conv(b, b.Node("org.example.Odd", "", []string{x}), w) },
			""},
		{[]any{"N", 2, 28, 2}, func(b *graph.Builder, x, w string) {
			b.NodeN("org.example.Odd", []string{x}, nil)
			turn(b, w, 3, 2, 0, 1)
			turn(b, x, 0, 3, 1, 2)
		}, "NHWC"},
	} {
		b := graph.NewBuilder("layout", 17)
		x := b.Input("x", graph.Float32, c.shape...)
		c.build(b, x, weight(b, "w", graph.Float32, 1, 3, 1, 1))
		if got := b.Model().Inputs()[0].Layout; got != c.want {
			t.Errorf("%d: %v is %q, want %q", i, c.shape, got, c.want)
		}
	}
}

func TestLayout(t *testing.T) {
	for _, tt := range []struct {
		name  string
		shape []any
		perm  []int64
		want  string
	}{
		{"channels first", []any{"N", 3, 224, 224}, nil, "NCHW"},
		{"channels last", []any{"N", 224, 224, 3}, nil, "NHWC"},
		{"open, into a convolution", []any{"N", "C", "H", "W"}, nil, "NCHW"},
		{"open, transposed first", []any{"N", "H", "W", "C"}, []int64{0, 3, 1, 2}, "NHWC"},
		{"both could be", []any{"N", 3, 3, 3}, nil, "NCHW"},
		{"no image", []any{"N", 10}, nil, ""},
	} {
		b := graph.NewBuilder("g", 17)
		x := b.Input("x", graph.Float32, tt.shape...)
		if tt.perm != nil {
			x = b.Node("Transpose", "", []string{x}, graph.Ints("perm", tt.perm...))
		}
		b.Node("Conv", "", []string{x, b.Init("w", []int64{1, 3, 1, 1}, make([]float32, 3))})
		if got := b.Model().Inputs()[0].Layout; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestSizesOfInputs: of both layouts, and where they are open.
func TestSizesOfInputs(t *testing.T) {
	for _, c := range []struct {
		in               graph.Input
		h, w, ch, images int64
	}{
		{graph.Input{Shape: []int64{2, 3, 8, 9}, Layout: "NCHW"}, 8, 9, 3, 2},
		{graph.Input{Shape: []int64{-1, 8, 9, 3}, Layout: "NHWC"}, 8, 9, 3, -1},
		{graph.Input{}, -1, -1, -1, -1},
	} {
		h, w := c.in.Size()
		if got := [4]int64{h, w, c.in.Channels(c.in.Layout), c.in.Batch()}; got != [4]int64{c.h, c.w, c.ch, c.images} {
			t.Errorf("%+v: height, width, channels, batch %v", c.in, got)
		}
	}
}
