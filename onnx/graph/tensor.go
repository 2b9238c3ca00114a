package graph

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"finetune/internal/dims"
	"finetune/internal/half"
	"finetune/internal/plural"
	"finetune/onnx/graph/onnxpb"
)

// Element types of tensors, numbered as in the ONNX specification.
const (
	Float32 = int32(onnxpb.TensorProto_FLOAT)
	Uint8   = int32(onnxpb.TensorProto_UINT8)
	Int8    = int32(onnxpb.TensorProto_INT8)
	Int32   = int32(onnxpb.TensorProto_INT32)
	Int64   = int32(onnxpb.TensorProto_INT64)
	Bool    = int32(onnxpb.TensorProto_BOOL)
	Float16 = int32(onnxpb.TensorProto_FLOAT16)
	Float64 = int32(onnxpb.TensorProto_DOUBLE)
)

// IsFloat reports whether an element type is one of floating-point numbers.
func IsFloat(elem int32) bool {
	return elem == Float32 || elem == Float64 || elem == Float16 || elem == int32(onnxpb.TensorProto_BFLOAT16)
}

// FloatTensor makes a float32 tensor of the given shape; a nil shape is a
// scalar. It panics if data has another length. The data is copied.
func FloatTensor(name string, shape []int64, data []float32) *onnxpb.TensorProto {
	mustFit(name, shape, len(data))
	raw := make([]byte, 0, 4*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return rawTensor(name, Float32, shape, raw)
}

// IntTensor is FloatTensor for int64.
func IntTensor(name string, shape, data []int64) *onnxpb.TensorProto {
	mustFit(name, shape, len(data))
	raw := make([]byte, 0, 8*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return rawTensor(name, Int64, shape, raw)
}

func rawTensor(name string, elem int32, shape []int64, raw []byte) *onnxpb.TensorProto {
	t := &onnxpb.TensorProto{Dims: append([]int64(nil), shape...), DataType: proto.Int32(elem), RawData: raw}
	if name != "" {
		t.Name = proto.String(name)
	}
	return t
}

func mustFit(name string, shape []int64, n int) {
	if count := dims.Product(shape); count != int64(n) {
		panic(fmt.Sprintf("graph: tensor %q: shape %v holds %s, got %d", name, shape, plural.Count(count, "value"), n))
	}
}

// FloatsOf returns the values of a float32, float16 or float64 tensor as
// float32, row-major, whichever field holds them.
func FloatsOf(t *onnxpb.TensorProto) ([]float32, error) {
	n, err := Sized(t)
	if err != nil {
		return nil, err
	}
	raw := t.GetRawData()
	out := make([]float32, n)
	switch {
	case t.GetDataType() == Float32 && raw != nil:
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case t.GetDataType() == Float32:
		copy(out, t.GetFloatData())
	case t.GetDataType() == Float64 && raw != nil:
		for i := range out {
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
		}
	case t.GetDataType() == Float64:
		for i, v := range t.GetDoubleData() {
			out[i] = float32(v)
		}
	case t.GetDataType() == Float16 && raw != nil:
		for i := range out {
			out[i] = half.Float32(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	case t.GetDataType() == Float16:
		for i, v := range t.GetInt32Data() {
			out[i] = half.Float32(uint16(v))
		}
	default:
		return nil, fmt.Errorf("tensor %q holds %s, not floats", t.GetName(), elemName(t.GetDataType()))
	}
	return out, nil
}

// IntsOf returns the values of an int64 or int32 tensor.
func IntsOf(t *onnxpb.TensorProto) ([]int64, error) {
	n, err := Sized(t)
	if err != nil {
		return nil, err
	}
	raw := t.GetRawData()
	out := make([]int64, n)
	switch {
	case t.GetDataType() == Int64 && raw != nil:
		for i := range out {
			out[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	case t.GetDataType() == Int64:
		copy(out, t.GetInt64Data())
	case t.GetDataType() == Int32 && raw != nil:
		for i := range out {
			out[i] = int64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
		}
	case t.GetDataType() == Int32:
		for i, v := range t.GetInt32Data() {
			out[i] = int64(v)
		}
	default:
		return nil, fmt.Errorf("tensor %q holds %s, not integers", t.GetName(), elemName(t.GetDataType()))
	}
	return out, nil
}

// Sized is the number of values of t, after checking that they are all there.
func Sized(t *onnxpb.TensorProto) (int64, error) {
	n := dims.Product(t.GetDims())
	if n < 0 {
		return 0, fmt.Errorf("tensor %q has impossible dimensions %v", t.GetName(), t.GetDims())
	}
	if t.GetDataLocation() == onnxpb.TensorProto_EXTERNAL {
		return 0, fmt.Errorf("tensor %q keeps its data in another file; read the model from its file", t.GetName())
	}
	have, want := stored(t), n
	if t.RawData != nil {
		have, want = int64(len(t.RawData)), n*elemBytes(t.GetDataType())
	}
	if elemBytes(t.GetDataType()) > 0 && have != want || n > MaxBytes {
		return 0, fmt.Errorf("tensor %q: dimensions %v do not fit its data (%d where %d are needed)", t.GetName(),
			t.GetDims(), have, want)
	}
	return n, nil
}

// stored is the length of the typed field that t's type uses.
func stored(t *onnxpb.TensorProto) int64 {
	switch t.GetDataType() {
	case Float32:
		return int64(len(t.FloatData))
	case Float64:
		return int64(len(t.DoubleData))
	case Int64:
		return int64(len(t.Int64Data))
	case int32(onnxpb.TensorProto_UINT32), int32(onnxpb.TensorProto_UINT64):
		return int64(len(t.Uint64Data))
	}
	return int64(len(t.Int32Data))
}

// elemBytes is the size of one element, 0 for the rare types that are carried
// along unread: strings, complex numbers and elements narrower than a byte.
func elemBytes(elem int32) int64 {
	switch onnxpb.TensorProto_DataType(elem) {
	case onnxpb.TensorProto_UINT8, onnxpb.TensorProto_INT8, onnxpb.TensorProto_BOOL:
		return 1
	case onnxpb.TensorProto_UINT16, onnxpb.TensorProto_INT16, onnxpb.TensorProto_FLOAT16, onnxpb.TensorProto_BFLOAT16:
		return 2
	case onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_INT32, onnxpb.TensorProto_UINT32:
		return 4
	case onnxpb.TensorProto_DOUBLE, onnxpb.TensorProto_INT64, onnxpb.TensorProto_UINT64:
		return 8
	}
	return 0
}

func elemName(elem int32) string {
	if s, ok := onnxpb.TensorProto_DataType_name[elem]; ok {
		return s
	}
	return fmt.Sprintf("element type %d", elem)
}
