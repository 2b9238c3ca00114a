package onnx

import (
	"fmt"

	"finetune/onnx/graph"
)

// BlockSize asks ONNX Runtime how many channels its blocked CPU kernels keep
// together on this machine; 0 where it has none. Start must have been called.
//
// The answer shows in memory: reordering [1, 64, 1, 2] puts the second pixel of
// the first channel where the first block ends.
func BlockSize() (int64, error) {
	const channels = 64
	b := graph.NewBuilder("block size", 17)
	x := b.Input("x", graph.Float32, 1, channels, 1, 2)
	b.Output(b.Node("com.microsoft.nchwc.ReorderInput", "y", []string{x}), graph.Float32, 1, channels, 1, 2)
	model, err := b.Model().Bytes()
	if err != nil {
		return 0, err
	}
	s, err := OpenBytes("block size", model, []string{"x"}, []string{"y"}, Options{Threads: 1})
	if err != nil {
		return 0, nil // a build without these kernels
	}
	defer s.Close()
	in, out := make([]float32, 2*channels), make([]float32, 2*channels)
	in[1] = 1
	tx, err := Float32(in, 1, channels, 1, 2)
	if err != nil {
		return 0, err
	}
	defer tx.Close()
	ty, err := Float32(out, 1, channels, 1, 2)
	if err != nil {
		return 0, err
	}
	defer ty.Close()
	if err := s.Run([]*Tensor{tx}, []*Tensor{ty}); err != nil {
		return 0, fmt.Errorf("onnx: block size: %w", err)
	}
	for i, v := range out {
		if v == 1 && i > 1 {
			return int64(i), nil
		}
	}
	return 0, nil
}
