package onnx

import (
	"fmt"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"finetune/internal/dims"
	"finetune/internal/plural"
)

// Tensor is a value that goes in or out of a Session.
//
// A tensor made by Float32, Float64, Int64, Uint8 or Bool is a view of the caller's
// slice: ORT reads and writes that memory in place, and the slice must stay
// alive until Close. A tensor that Run allocated belongs to ORT until Close;
// copy what must live longer. Of one that a Resident session allocated neither
// data nor shape can be read here.
type Tensor struct {
	value ort.Value
	shape []int64

	resident unsafe.Pointer // ORT's handle; value is nil then
	release  func(unsafe.Pointer)
}

// Float32 returns a view of data with the given shape, row-major. No shape
// means a scalar, which copies data[0].
func Float32(data []float32, shape ...int64) (*Tensor, error) { return view(data, shape) }

// Float64 is Float32 for doubles.
func Float64(data []float64, shape ...int64) (*Tensor, error) { return view(data, shape) }

// Int64 is Float32 for 64-bit integers.
func Int64(data []int64, shape ...int64) (*Tensor, error) { return view(data, shape) }

// Uint8 is Float32 for bytes.
func Uint8(data []uint8, shape ...int64) (*Tensor, error) { return view(data, shape) }

// Bool is Float32 for truth values.
func Bool(data []bool, shape ...int64) (*Tensor, error) { return view(data, shape) }

func view[T float32 | float64 | int64 | uint8 | bool](data []T, shape []int64) (*Tensor, error) {
	if n := dims.Product(shape); n != int64(len(data)) {
		return nil, fmt.Errorf("onnx: tensor of shape %v holds %s, got %d", shape, plural.Count(n, "value"), len(data))
	}
	if len(shape) == 0 {
		return scalar(data[0])
	}
	t, err := ort.NewTensor(ort.NewShape(shape...), data)
	if err != nil {
		return nil, fmt.Errorf("onnx: tensor of shape %v: %w", shape, err)
	}
	return &Tensor{value: t, shape: append([]int64(nil), shape...)}, nil
}

func scalar[T float32 | float64 | int64 | uint8 | bool](v T) (*Tensor, error) {
	var value ort.Value
	var err error
	switch v := any(v).(type) {
	case float32:
		value, err = ort.NewScalar(v)
	case float64:
		value, err = ort.NewScalar(v)
	case int64:
		value, err = ort.NewScalar(v)
	case uint8:
		value, err = ort.NewScalar(v)
	default:
		err = fmt.Errorf("no scalar of type %T", v)
	}
	if err != nil {
		return nil, fmt.Errorf("onnx: scalar: %w", err)
	}
	return &Tensor{value: value}, nil
}

// Float32 returns the tensor's memory, nil for another element type.
func (t *Tensor) Float32() []float32 { return data[float32](t) }

// Float64 returns the tensor's memory, nil for another element type.
func (t *Tensor) Float64() []float64 { return data[float64](t) }

// Int64 returns the tensor's memory, nil for another element type.
func (t *Tensor) Int64() []int64 { return data[int64](t) }

// Uint8 returns the tensor's memory, nil for another element type.
func (t *Tensor) Uint8() []uint8 { return data[uint8](t) }

func data[T float32 | float64 | int64 | uint8](t *Tensor) []T {
	switch v := t.value.(type) {
	case *ort.Tensor[T]:
		return v.GetData()
	case *ort.Scalar[T]:
		return []T{v.GetData()}
	}
	return nil
}

// Shape returns the dimensions; the caller must not change them.
func (t *Tensor) Shape() []int64 { return t.shape }

// Close frees what ORT holds; the caller's slice is untouched. Twice is fine.
func (t *Tensor) Close() error {
	if t == nil {
		return nil
	}
	if t.resident != nil {
		t.release(t.resident)
		t.resident = nil
	}
	if t.value == nil {
		return nil
	}
	err := t.value.Destroy()
	t.value = nil
	return err
}
