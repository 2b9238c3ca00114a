package gradient_test

import (
	"testing"

	"finetune/onnx/gradient"
	"finetune/onnx/onednn"
)

// TestPoolsOfOneDNN: a pooling is oneDNN's lowering's unless one of its windows holds borders alone, of which package
// onednn would leave the number to chance.
func TestPoolsOfOneDNN(t *testing.T) {
	for name, c := range map[string]struct {
		size     int64
		dilation int64
		want     int
	}{"next to each other": {4, 1, 1}, "around a map of two pixels": {2, 3, 0}, "around one of three": {3, 2, 1}} {
		g, err := differentiate(17, gradient.Options{OneDNN: onednn.Float32}, func(m *maker) string {
			return m.op("MaxPool", m.images(16, c.size, c.size), ints("kernel_shape", 2, 2), ints("pads", 1, 1, 1, 1),
				ints("dilations", c.dilation, c.dilation))
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := kinds(g)[onednn.Float32+".MaxPool"]; got != c.want {
			t.Errorf("%s: %d poolings of package onednn, want %d", name, got, c.want)
		}
	}
}
