package onnx

import (
	"testing"

	"finetune/onnx/graph"
)

// FuzzPorts: whatever the bytes, reading what they declare ends, in an error or in ports.
func FuzzPorts(f *testing.F) {
	b := graph.NewBuilder("seed", 17)
	x := b.Input("x", graph.Float32, "N", 3)
	b.Output(b.Node("Add", "y", []string{x, b.Init("w", []int64{3}, []float32{1, 2, 3})}), graph.Float32, "N", 3)
	model, err := b.Model().Bytes()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, model, model[:len(model)/2], {0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f},
		{0x3b, 0x3b, 0x3b}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in, out, err := bytesPorts(data, []string{"x"}, []string{"y"})
		if len(in) != 1 || len(out) != 1 {
			t.Fatalf("%d inputs, %d outputs, %v", len(in), len(out), err)
		}
		_, _ = in[0].String(), out[0].takes([]int64{1, 3})
	})
}

func TestPortsPassOverWeights(t *testing.T) {
	b := graph.NewBuilder("w", 17)
	x := b.Input("x", graph.Float32, "N", 1<<20)
	b.Output(b.Node("Add", "y", []string{x, b.Init("w", []int64{1 << 20}, make([]float32, 1<<20))}), graph.Float32, "N",
		1<<20)
	model, err := b.Model().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	r := &counted{data: model}
	in, out, err := ports(r, int64(len(model)), []string{"x"}, []string{"y", "absent"})
	if err != nil || in[0].String() != "[N 1048576]" || out[0].String() != "[N 1048576]" || out[1].shape != nil {
		t.Errorf("%v %v %v", in, out, err)
	}
	if r.read > 4096 {
		t.Errorf("%d bytes read of a model whose weights are 4 MB", r.read)
	}
}

type counted struct {
	data []byte
	read int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, c.data[off:])
	c.read += n
	return n, nil
}
