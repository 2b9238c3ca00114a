package graph

import (
	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph/onnxpb"
)

func attr(name string, t onnxpb.AttributeProto_AttributeType) Attr {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: t.Enum()}
}

// Int makes an integer attribute.
func Int(name string, v int64) Attr {
	a := attr(name, onnxpb.AttributeProto_INT)
	a.I = proto.Int64(v)
	return a
}

// Ints makes an attribute that is a list of integers.
func Ints(name string, v ...int64) Attr {
	a := attr(name, onnxpb.AttributeProto_INTS)
	a.Ints = v
	return a
}

// Float makes a float attribute.
func Float(name string, v float32) Attr {
	a := attr(name, onnxpb.AttributeProto_FLOAT)
	a.F = proto.Float32(v)
	return a
}

// Floats makes an attribute that is a list of floats.
func Floats(name string, v ...float32) Attr {
	a := attr(name, onnxpb.AttributeProto_FLOATS)
	a.Floats = v
	return a
}

// Str makes a string attribute.
func Str(name, v string) Attr {
	a := attr(name, onnxpb.AttributeProto_STRING)
	a.S = []byte(v)
	return a
}

// Tensor makes an attribute that is a tensor.
func Tensor(name string, t *onnxpb.TensorProto) Attr {
	a := attr(name, onnxpb.AttributeProto_TENSOR)
	a.T = t
	return a
}

// Graph makes an attribute that is a graph: a branch of If, the body of Loop.
func Graph(name string, g *onnxpb.GraphProto) Attr {
	a := attr(name, onnxpb.AttributeProto_GRAPH)
	a.G = g
	return a
}

// Find returns the attribute of node n called name, or nil.
func Find(n *onnxpb.NodeProto, name string) Attr {
	for _, a := range n.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

// FindInt returns an integer attribute of node n, or def if there is none.
func FindInt(n *onnxpb.NodeProto, name string, def int64) int64 {
	if a := Find(n, name); a != nil {
		return a.GetI()
	}
	return def
}

// FindInts returns a list of integers of node n, or def if there is none.
func FindInts(n *onnxpb.NodeProto, name string, def ...int64) []int64 {
	if a := Find(n, name); a != nil {
		return a.GetInts()
	}
	return def
}

// FindFloat returns a float attribute of node n, or def if there is none.
func FindFloat(n *onnxpb.NodeProto, name string, def float32) float32 {
	if a := Find(n, name); a != nil {
		return a.GetF()
	}
	return def
}

// FindStr returns a string attribute of node n, or def if there is none.
func FindStr(n *onnxpb.NodeProto, name, def string) string {
	if a := Find(n, name); a != nil {
		return string(a.GetS())
	}
	return def
}

// ConstantOf is what a Constant node holds, nil if it is no number.
func ConstantOf(n *onnxpb.NodeProto) *onnxpb.TensorProto {
	if t := Find(n, "value").GetT(); t != nil {
		return t
	}
	switch a := Find(n, "value_int"); {
	case a != nil:
		return IntTensor("", nil, []int64{a.GetI()})
	case Find(n, "value_ints") != nil:
		v := FindInts(n, "value_ints")
		return IntTensor("", []int64{int64(len(v))}, v)
	case Find(n, "value_float") != nil:
		return FloatTensor("", nil, []float32{Find(n, "value_float").GetF()})
	case Find(n, "value_floats") != nil:
		v := Find(n, "value_floats").GetFloats()
		return FloatTensor("", []int64{int64(len(v))}, v)
	}
	return nil
}
