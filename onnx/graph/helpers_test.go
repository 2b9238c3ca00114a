package graph_test

import (
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// named is an initializer of one float.
func named(name string) *onnxpb.TensorProto { return graph.FloatTensor(name, []int64{1}, []float32{1}) }

func sparse(name string) *onnxpb.SparseTensorProto {
	return &onnxpb.SparseTensorProto{Values: named(name), Indices: graph.IntTensor("", []int64{1}, []int64{0}),
		Dims: []int64{4}}
}

func value(name string) *onnxpb.ValueInfoProto { return &onnxpb.ValueInfoProto{Name: &name} }

// branchOf is a graph inside a node, with the outputs named.
func branchOf(nodes []*onnxpb.NodeProto, outputs ...string) *onnxpb.GraphProto {
	g := &onnxpb.GraphProto{Name: proto.String("branch"), Node: nodes}
	for _, o := range outputs {
		g.Output = append(g.Output, value(o))
	}
	return g
}

// weight adds an initializer of zeros.
func weight(b *graph.Builder, name string, e int32, shape ...int64) string {
	bytes := dims.Product(shape) * map[int32]int64{graph.Float32: 4, graph.Float16: 2}[e]
	return b.InitTensor(&onnxpb.TensorProto{Name: &name, Dims: shape, DataType: &e, RawData: make([]byte, bytes)})
}

func read(t *testing.T, file string) *graph.Model {
	t.Helper()
	m, err := graph.Read(filepath.Join("..", "..", "testdata", "models", file))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
