package onnx_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/graph/onnxpb"
)

// addModel is y = a + b on float32 vectors of any length.
func addModel(t *testing.T) []byte {
	t.Helper()
	vector := func(name string) *onnxpb.ValueInfoProto {
		n := &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}}
		shape := &onnxpb.TensorShapeProto{Dim: []*onnxpb.TensorShapeProto_Dimension{n}}
		tensor := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(1), Shape: shape}
		return &onnxpb.ValueInfoProto{Name: &name,
			Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}}}
	}
	m := &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("add"),
			Node:   []*onnxpb.NodeProto{{OpType: proto.String("Add"), Input: []string{"a", "b"}, Output: []string{"y"}}},
			Input:  []*onnxpb.ValueInfoProto{vector("a"), vector("b")},
			Output: []*onnxpb.ValueInfoProto{vector("y")},
		},
	}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRunWritesInPlaceAndAllocates(t *testing.T) {
	onnxtest.Start(t)
	s, err := onnx.OpenBytes("add", addModel(t), []string{"a", "b"}, []string{"y"}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, _ := onnx.Float32([]float32{1, 2, 3}, 3)
	b, _ := onnx.Float32([]float32{10, 20, 30}, 3)
	y := make([]float32, 3)
	out, _ := onnx.Float32(y, 3)
	if err := s.Run([]*onnx.Tensor{a, b}, []*onnx.Tensor{out}); err != nil {
		t.Fatal(err)
	}
	fresh := []*onnx.Tensor{nil}
	if err := s.Run([]*onnx.Tensor{a, b}, fresh); err != nil {
		t.Fatal(err)
	}
	defer fresh[0].Close()
	for i, want := range []float32{11, 22, 33} {
		if y[i] != want || fresh[0].Float32()[i] != want {
			t.Errorf("y[%d] = %g in place and %g allocated, want %g", i, y[i], fresh[0].Float32()[i], want)
		}
	}
	if got := fresh[0].Shape(); len(got) != 1 || got[0] != 3 {
		t.Errorf("shape %v, want [3]", got)
	}
}

func TestErrorsSayWhat(t *testing.T) {
	onnxtest.Start(t)
	_, err := onnx.OpenBytes("broken.onnx", []byte("not a model"), []string{"a"}, []string{"y"}, onnx.Options{})
	if err == nil || !strings.Contains(err.Error(), "broken.onnx") {
		t.Errorf("error %v does not name the file", err)
	}
	_, err = onnx.OpenBytes("add", addModel(t), []string{"a", "b"}, []string{"y"}, onnx.Options{Device: "cuda"})
	if err == nil || !strings.Contains(err.Error(), "CUDA") {
		t.Errorf("a CUDA request on a CPU build gave %v", err)
	}
	if _, err := onnx.Float32(make([]float32, 5), 2, 3); err == nil {
		t.Error("5 values made a tensor of 2×3")
	}
}

// A model of a later ONNX is bad data with a way out, whichever number is too high.
func TestModelsFromTheFuture(t *testing.T) {
	onnxtest.Start(t)
	for name, change := range map[string]func(*onnxpb.ModelProto){
		"ir.onnx":    func(m *onnxpb.ModelProto) { m.IrVersion = proto.Int64(99) },
		"opset.onnx": func(m *onnxpb.ModelProto) { m.OpsetImport[0].Version = proto.Int64(99) },
	} {
		var m onnxpb.ModelProto
		if err := proto.Unmarshal(addModel(t), &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		data, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = onnx.OpenBytes(name, data, []string{"a", "b"}, []string{"y"}, onnx.Options{Threads: 1})
		if err == nil || failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), name) ||
			!strings.Contains(err.Error(), "opset_version") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTensorViewsShareMemory(t *testing.T) {
	onnxtest.Start(t)
	data := []int64{1, 2}
	v, err := onnx.Int64(data, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	data[1] = 7
	if v.Int64()[1] != 7 || v.Float32() != nil {
		t.Errorf("view %v, as float32 %v", v.Int64(), v.Float32())
	}
}
