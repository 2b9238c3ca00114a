package weights

import (
	"encoding/binary"
	"math"

	"finetune/internal/half"
)

// dtype is an element type as files store it.
type dtype struct {
	name  string // safetensors' name
	torch string // storage class in module torch
	size  int64  // bytes an element
	into  func(t *Tensor, raw []byte, order binary.ByteOrder)
}

var dtypes = []dtype{
	{"F32", "FloatStorage", 4,
		floats(4, func(b []byte, o binary.ByteOrder) float32 { return math.Float32frombits(o.Uint32(b)) })},
	{"F64", "DoubleStorage", 8,
		floats(8, func(b []byte, o binary.ByteOrder) float32 { return float32(math.Float64frombits(o.Uint64(b))) })},
	{"F16", "HalfStorage", 2, floats(2, func(b []byte, o binary.ByteOrder) float32 { return half.Float32(o.Uint16(b)) })},
	{"BF16", "BFloat16Storage", 2,
		floats(2, func(b []byte, o binary.ByteOrder) float32 { return math.Float32frombits(uint32(o.Uint16(b)) << 16) })},
	{"I64", "LongStorage", 8, ints(8, func(b []byte, o binary.ByteOrder) int64 { return int64(o.Uint64(b)) })},
	{"I32", "IntStorage", 4, ints(4, func(b []byte, o binary.ByteOrder) int64 { return int64(int32(o.Uint32(b))) })},
	{"I16", "ShortStorage", 2, ints(2, func(b []byte, o binary.ByteOrder) int64 { return int64(int16(o.Uint16(b))) })},
	{"I8", "CharStorage", 1, ints(1, func(b []byte, _ binary.ByteOrder) int64 { return int64(int8(b[0])) })},
	{"U8", "ByteStorage", 1, func(t *Tensor, raw []byte, _ binary.ByteOrder) { t.Bytes = append([]uint8{}, raw...) }},
	{"BOOL", "BoolStorage", 1, bools},
}

// findType looks a type up by its safetensors name or its torch storage class.
func findType(name string) (dtype, bool) {
	for _, d := range dtypes {
		if d.name == name || d.torch == name {
			return d, true
		}
	}
	return dtype{}, false
}

func floats(size int, one func([]byte, binary.ByteOrder) float32) func(*Tensor, []byte, binary.ByteOrder) {
	return func(t *Tensor, raw []byte, order binary.ByteOrder) {
		t.Data = make([]float32, len(raw)/size)
		for i := range t.Data {
			t.Data[i] = one(raw[i*size:], order)
		}
	}
}

func ints(size int, one func([]byte, binary.ByteOrder) int64) func(*Tensor, []byte, binary.ByteOrder) {
	return func(t *Tensor, raw []byte, order binary.ByteOrder) {
		t.Ints = make([]int64, len(raw)/size)
		for i := range t.Ints {
			t.Ints[i] = one(raw[i*size:], order)
		}
	}
}

func bools(t *Tensor, raw []byte, _ binary.ByteOrder) {
	t.Bytes = make([]uint8, len(raw))
	for i, b := range raw {
		if b != 0 {
			t.Bytes[i] = 1
		}
	}
}
