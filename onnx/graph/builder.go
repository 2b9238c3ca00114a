package graph

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph/onnxpb"
)

// Builder makes a model node by node:
//
//	b := graph.NewBuilder("tiny", 17)
//	x := b.Input("image", graph.Float32, "N", 3, 8, 8)
//	w := b.Init("conv.weight", []int64{4, 3, 3, 3}, weights)
//	y := b.Node("Conv", "conv", []string{x, w}, graph.Ints("pads", 1, 1, 1, 1))
//	b.Output(b.Node("Relu", "", []string{y}), graph.Float32, "N", 4, 8, 8)
//	m := b.Model()
//
// An operator of another domain is named in full ("com.microsoft.FusedConv").
// An empty name, where one is asked for, is made up; a name used twice, a
// missing tensor and data that does not fit its shape are bugs and panic.
type Builder struct {
	model *onnxpb.ModelProto
	used  map[string]bool
	next  int
}

// Attr is a node's attribute, made by Int, Ints, Float, Floats, Str and so on.
type Attr = *onnxpb.AttributeProto

// NewBuilder starts a model whose graph is called name, for version opset of
// ONNX's operators.
func NewBuilder(name string, opset int64) *Builder {
	return &Builder{used: map[string]bool{}, model: &onnxpb.ModelProto{
		IrVersion:    proto.Int64(irFor(opset)),
		ProducerName: proto.String("finetune"),
		OpsetImport:  []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(opset)}},
		Graph:        &onnxpb.GraphProto{Name: proto.String(name)},
	}}
}

// irFor is the oldest file format that may carry an operator set, and at least
// 4, the first in which an initializer need not be an input
// (https://github.com/onnx/onnx/blob/main/docs/Versioning.md).
func irFor(opset int64) int64 {
	for _, v := range []struct{ opset, ir int64 }{{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8}, {12, 7},
		{11, 6}, {10, 5}} {
		if opset >= v.opset {
			return v.ir
		}
	}
	return 4
}

// Name returns a tensor name that starts with prefix and is not used yet.
func (b *Builder) Name(prefix string) string {
	for {
		b.next++
		if n := fmt.Sprintf("%s_%d", prefix, b.next); !b.used[n] {
			return n
		}
	}
}

func (b *Builder) take(name, prefix string) string {
	if name == "" {
		name = b.Name(prefix)
	}
	if b.used[name] {
		panic(fmt.Sprintf("graph: builder %q: tensor %q exists already", b.model.GetGraph().GetName(), name))
	}
	b.used[name] = true
	return name
}

// Input declares an input of the graph and returns its name. A dimension is an
// int, an int64, or a string for one that is known only at run time.
func (b *Builder) Input(name string, elem int32, shape ...any) string {
	name = b.take(name, "input")
	b.model.Graph.Input = append(b.model.Graph.Input, ValueInfo(name, elem, shape))
	return name
}

// Output declares the tensor called name as an output of the graph.
func (b *Builder) Output(name string, elem int32, shape ...any) {
	b.model.Graph.Output = append(b.model.Graph.Output, ValueInfo(name, elem, shape))
}

// Init adds a float32 initializer, stored as raw data, and returns its name.
// A nil shape is a scalar.
func (b *Builder) Init(name string, shape []int64, data []float32) string {
	name = b.take(name, "init")
	b.model.Graph.Initializer = append(b.model.Graph.Initializer, FloatTensor(name, shape, data))
	return name
}

// Ints adds an int64 initializer. A nil shape is a scalar.
func (b *Builder) Ints(name string, shape, data []int64) string {
	name = b.take(name, "init")
	b.model.Graph.Initializer = append(b.model.Graph.Initializer, IntTensor(name, shape, data))
	return name
}

// InitTensor adds an initializer of any type, under the name that t carries.
func (b *Builder) InitTensor(t *onnxpb.TensorProto) string {
	b.take(t.GetName(), "init")
	b.model.Graph.Initializer = append(b.model.Graph.Initializer, t)
	return t.GetName()
}

// Node adds a node with one output and returns the output's name.
func (b *Builder) Node(op, output string, inputs []string, attrs ...Attr) string {
	if output == "" {
		output = b.Name(op[strings.LastIndexByte(op, '.')+1:])
	}
	b.NodeN(op, inputs, []string{output}, attrs...)
	return output
}

// NodeN adds a node with any number of outputs; "" leaves an optional input or
// output out. The node is called after its first output.
func (b *Builder) NodeN(op string, inputs, outputs []string, attrs ...Attr) {
	n := &onnxpb.NodeProto{Input: inputs, Output: outputs, Attribute: attrs}
	domain := ""
	if i := strings.LastIndexByte(op, '.'); i >= 0 {
		domain, op = op[:i], op[i+1:]
		n.Domain = proto.String(domain)
		b.importDomain(domain)
	}
	n.OpType = proto.String(op)
	for _, o := range outputs {
		if o == "" {
			continue
		}
		b.take(o, op)
		if n.Name == nil {
			n.Name = proto.String(o)
		}
	}
	b.model.Graph.Node = append(b.model.Graph.Node, n)
}

func (b *Builder) importDomain(domain string) {
	for _, o := range b.model.OpsetImport {
		if o.GetDomain() == domain {
			return
		}
	}
	b.model.OpsetImport = append(b.model.OpsetImport,
		&onnxpb.OperatorSetIdProto{Domain: proto.String(domain), Version: proto.Int64(1)})
}

// Model returns what was built. The builder must not be used afterwards.
func (b *Builder) Model() *Model {
	m := &Model{ModelProto: b.model}
	if err := m.Check(); err != nil {
		panic(fmt.Sprintf("graph: builder: %v", err))
	}
	return m
}

// ValueInfo declares an input or output of a graph. A dimension is an int, an
// int64, or a string for one that is known only at run time; a negative number
// is such a one, the batch, and called N.
func ValueInfo[D any](name string, elem int32, shape []D) *onnxpb.ValueInfoProto {
	dims := make([]*onnxpb.TensorShapeProto_Dimension, len(shape))
	for i, d := range shape {
		switch d := any(d).(type) {
		case int:
			dims[i] = DimValue(int64(d))
		case int64:
			dims[i] = DimValue(d)
		case string:
			dims[i] = DimParam(d)
		default:
			panic(fmt.Sprintf("graph: %q: dimension %d is a %T, want int, int64 or string", name, i, d))
		}
	}
	return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(elem), Shape: &onnxpb.TensorShapeProto{Dim: dims}},
	}}}
}

// DimValue is a dimension of size v, or one of unknown size for a negative v.
func DimValue(v int64) *onnxpb.TensorShapeProto_Dimension {
	if v < 0 {
		return DimParam("N")
	}
	return &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: v}}
}

// DimParam is a dimension with a name.
func DimParam(s string) *onnxpb.TensorShapeProto_Dimension {
	return &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: s}}
}
