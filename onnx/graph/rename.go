package graph

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"finetune/onnx/graph/onnxpb"
)

// Shallow copies a message, unknown fields too, sharing what its fields point
// to. Lists must be replaced in the copy, never appended to.
func Shallow[T proto.Message](m T) T {
	from := m.ProtoReflect()
	to := from.New()
	from.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		to.Set(f, v)
		return true
	})
	to.SetUnknown(slices.Clone(from.GetUnknown()))
	return to.Interface().(T)
}

// Renamed copies g with every tensor and node name passed through f, in the
// graphs inside it too. Tensor data is shared.
func Renamed(g *onnxpb.GraphProto, f func(string) string) *onnxpb.GraphProto {
	out := Shallow(g)
	name := func(s *string) *string {
		if s == nil || *s == "" {
			return s
		}
		return proto.String(f(*s))
	}
	values := func(list []*onnxpb.ValueInfoProto) []*onnxpb.ValueInfoProto {
		return Mapped(list, func(v *onnxpb.ValueInfoProto) *onnxpb.ValueInfoProto {
			v = Shallow(v)
			v.Name = name(v.Name)
			return v
		})
	}
	tensor := func(t *onnxpb.TensorProto) *onnxpb.TensorProto {
		t = Shallow(t)
		t.Name = name(t.Name)
		return t
	}
	out.Input, out.Output, out.ValueInfo = values(g.Input), values(g.Output), values(g.ValueInfo)
	out.Initializer = Mapped(g.Initializer, tensor)
	out.SparseInitializer = Mapped(g.SparseInitializer, func(t *onnxpb.SparseTensorProto) *onnxpb.SparseTensorProto {
		t = Shallow(t)
		if t.Values != nil {
			t.Values = tensor(t.Values)
		}
		return t
	})
	out.QuantizationAnnotation = Mapped(g.QuantizationAnnotation,
		func(a *onnxpb.TensorAnnotation) *onnxpb.TensorAnnotation {
			a = Shallow(a)
			a.TensorName = name(a.TensorName)
			a.QuantParameterTensorNames = Mapped(a.QuantParameterTensorNames,
				func(p *onnxpb.StringStringEntryProto) *onnxpb.StringStringEntryProto {
					p = Shallow(p)
					p.Value = name(p.Value)
					return p
				})
			return a
		})
	out.Node = Mapped(g.Node, func(n *onnxpb.NodeProto) *onnxpb.NodeProto { return renamedNode(n, f) })
	return out
}

func renamedNode(n *onnxpb.NodeProto, f func(string) string) *onnxpb.NodeProto {
	n = Shallow(n)
	keepEmpty := func(s string) string {
		if s == "" {
			return s
		}
		return f(s)
	}
	n.Input, n.Output = Mapped(n.Input, keepEmpty), Mapped(n.Output, keepEmpty)
	if n.GetName() != "" {
		n.Name = proto.String(f(*n.Name))
	}
	if len(Subgraphs(n)) == 0 {
		return n
	}
	n.Attribute = Mapped(n.Attribute, func(a Attr) Attr {
		a = Shallow(a)
		if a.G != nil {
			a.G = Renamed(a.G, f)
		}
		a.Graphs = Mapped(a.Graphs, func(g *onnxpb.GraphProto) *onnxpb.GraphProto { return Renamed(g, f) })
		return a
	})
	return n
}

// Mapped is a list of what f makes of each; nil stays nil.
func Mapped[T any](list []T, f func(T) T) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// Names is the set of tensor and node names in g and the graphs inside it.
func Names(g *onnxpb.GraphProto) map[string]bool {
	all := map[string]bool{}
	Renamed(g, func(s string) string { all[s] = true; return s })
	return all
}

// Kept is what of a list keep says.
func Kept[T any](list []T, keep func(T) bool) []T {
	var out []T
	for _, v := range list {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}
