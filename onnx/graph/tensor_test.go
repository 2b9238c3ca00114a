package graph_test

import (
	"math"
	"slices"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

func TestFloatsOfEveryStorage(t *testing.T) {
	want := []float32{1, -0.5}
	for name, w := range map[string]*onnxpb.TensorProto{
		"float32 raw":   graph.FloatTensor("w", []int64{2}, want),
		"float32 typed": {Dims: []int64{2}, DataType: elem(graph.Float32), FloatData: want},
		"float64 typed": {Dims: []int64{2}, DataType: elem(graph.Float64), DoubleData: []float64{1, -0.5}},
		"float64 raw": {Dims: []int64{2}, DataType: elem(graph.Float64),
			RawData: []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0xe0, 0xbf}},
		"float16 raw":     {Dims: []int64{2}, DataType: elem(graph.Float16), RawData: []byte{0x00, 0x3c, 0x00, 0xb8}},
		"float16 in ints": {Dims: []int64{2}, DataType: elem(graph.Float16), Int32Data: []int32{0x3c00, 0xb800}},
	} {
		if got, err := graph.FloatsOf(w); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := graph.FloatsOf(graph.IntTensor("i", nil, []int64{1})); err == nil {
		t.Error("integers were read as floats")
	}
}

func TestIntsOfEveryStorage(t *testing.T) {
	want := []int64{7, -1}
	for name, w := range map[string]*onnxpb.TensorProto{
		"int64 raw":   graph.IntTensor("w", []int64{2}, want),
		"int64 typed": {Dims: []int64{2}, DataType: elem(graph.Int64), Int64Data: want},
		"int32 typed": {Dims: []int64{2}, DataType: elem(graph.Int32), Int32Data: []int32{7, -1}},
		"int32 raw":   {Dims: []int64{2}, DataType: elem(graph.Int32), RawData: []byte{7, 0, 0, 0, 255, 255, 255, 255}},
	} {
		if got, err := graph.IntsOf(w); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func elem(e int32) *int32 { return &e }

// IEEE 754-2008, binary16: zero, the smallest and largest subnormal, the
// smallest and largest normal number, infinity, not a number.
func TestHalfPrecision(t *testing.T) {
	bits := []int32{0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0xfc00, 0x7e00}
	want := []float64{0, math.Copysign(0, -1), math.Ldexp(1, -24), math.Ldexp(1023, -24), math.Ldexp(1, -14), 65504,
		math.Inf(-1), math.NaN()}
	got, err := graph.FloatsOf(&onnxpb.TensorProto{Dims: []int64{8}, DataType: elem(graph.Float16), Int32Data: bits})
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if math.Float32bits(got[i]) != math.Float32bits(float32(w)) && !(math.IsNaN(w) && math.IsNaN(float64(got[i]))) {
			t.Errorf("%#04x is %g, want %g", bits[i], got[i], w)
		}
	}
}
