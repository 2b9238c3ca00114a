package graph

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"finetune/onnx/graph/onnxpb"
)

// shallow copies a message, unknown fields too, sharing what its fields point
// to. Lists must be replaced in the copy, never appended to.
func shallow[T proto.Message](m T) T {
	from := m.ProtoReflect()
	to := from.New()
	from.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		to.Set(f, v)
		return true
	})
	to.SetUnknown(slices.Clone(from.GetUnknown()))
	return to.Interface().(T)
}

// renamed copies g with every tensor and node name passed through f, in the
// graphs inside it too. Tensor data is shared.
func renamed(g *onnxpb.GraphProto, f func(string) string) *onnxpb.GraphProto {
	out := shallow(g)
	name := func(s *string) *string {
		if s == nil || *s == "" {
			return s
		}
		return proto.String(f(*s))
	}
	values := func(list []*onnxpb.ValueInfoProto) []*onnxpb.ValueInfoProto {
		return mapped(list, func(v *onnxpb.ValueInfoProto) *onnxpb.ValueInfoProto {
			v = shallow(v)
			v.Name = name(v.Name)
			return v
		})
	}
	tensor := func(t *onnxpb.TensorProto) *onnxpb.TensorProto {
		t = shallow(t)
		t.Name = name(t.Name)
		return t
	}
	out.Input, out.Output, out.ValueInfo = values(g.Input), values(g.Output), values(g.ValueInfo)
	out.Initializer = mapped(g.Initializer, tensor)
	out.SparseInitializer = mapped(g.SparseInitializer, func(t *onnxpb.SparseTensorProto) *onnxpb.SparseTensorProto {
		t = shallow(t)
		if t.Values != nil {
			t.Values = tensor(t.Values)
		}
		return t
	})
	out.QuantizationAnnotation = mapped(g.QuantizationAnnotation,
		func(a *onnxpb.TensorAnnotation) *onnxpb.TensorAnnotation {
			a = shallow(a)
			a.TensorName = name(a.TensorName)
			a.QuantParameterTensorNames = mapped(a.QuantParameterTensorNames,
				func(p *onnxpb.StringStringEntryProto) *onnxpb.StringStringEntryProto {
					p = shallow(p)
					p.Value = name(p.Value)
					return p
				})
			return a
		})
	out.Node = mapped(g.Node, func(n *onnxpb.NodeProto) *onnxpb.NodeProto { return renamedNode(n, f) })
	return out
}

func renamedNode(n *onnxpb.NodeProto, f func(string) string) *onnxpb.NodeProto {
	n = shallow(n)
	keepEmpty := func(s string) string {
		if s == "" {
			return s
		}
		return f(s)
	}
	n.Input, n.Output = mapped(n.Input, keepEmpty), mapped(n.Output, keepEmpty)
	if n.GetName() != "" {
		n.Name = proto.String(f(*n.Name))
	}
	if len(subgraphs(n)) == 0 {
		return n
	}
	n.Attribute = mapped(n.Attribute, func(a Attr) Attr {
		a = shallow(a)
		if a.G != nil {
			a.G = renamed(a.G, f)
		}
		a.Graphs = mapped(a.Graphs, func(g *onnxpb.GraphProto) *onnxpb.GraphProto { return renamed(g, f) })
		return a
	})
	return n
}

func mapped[T any](list []T, f func(T) T) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// names is the set of tensor and node names in g and the graphs inside it.
func names(g *onnxpb.GraphProto) map[string]bool {
	all := map[string]bool{}
	renamed(g, func(s string) string { all[s] = true; return s })
	return all
}

func kept[T any](list []T, keep func(T) bool) []T {
	var out []T
	for _, v := range list {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}
