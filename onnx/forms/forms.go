// Package forms reads networks as they arrive and gives them the form that training expects: weights, activations and
// the image in float32. What a network is given by that is what it was given before: the image's own numbers.
package forms

import (
	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Read is graph.Read, and Model of what it reads.
func Read(path string) (*graph.Model, error) {
	m, err := graph.Read(path)
	if err != nil {
		return nil, err
	}
	return Model(m)
}

// Model returns m computing in float32:
//
//	weights in float16      the same numbers in float32, and all between them; so is an input in float16
//	an image of uint8       a float32 one of the numbers 0 to 255, which are rounded
//
// A model that is so already is returned as it is.
func Model(m *graph.Model) (*graph.Model, error) {
	in, err := m.ImageAmong()
	bytes := err == nil && in.Elem == graph.Uint8
	if !bytes && !halves(m.Graph) {
		return m, nil
	}
	out := &graph.Model{ModelProto: proto.Clone(m.ModelProto).(*onnxpb.ModelProto), Path: m.Path}
	if err := widen(out.Graph); err != nil {
		return nil, err
	}
	if bytes {
		pixels(out.Graph, in.Name)
	}
	return out, out.Check()
}

// halves reports whether any weight, constant or input of a graph is in float16.
func halves(g *onnxpb.GraphProto) bool {
	for _, t := range g.Initializer {
		if t.GetDataType() == graph.Float16 {
			return true
		}
	}
	for _, in := range g.Input {
		if in.GetType().GetTensorType().GetElemType() == graph.Float16 {
			return true
		}
	}
	for _, n := range g.Node {
		for _, a := range n.Attribute {
			if a.T != nil && a.T.GetDataType() == graph.Float16 || a.G != nil && halves(a.G) || toHalf(n, a) {
				return true
			}
		}
	}
	return false
}

// toHalf reports whether an attribute makes its node write float16.
func toHalf(n *onnxpb.NodeProto, a *onnxpb.AttributeProto) bool {
	switch a.GetName() {
	case "to", "dtype", "output_dtype", "stash_type", "softmax_precision", "precision":
		return a.GetType() == onnxpb.AttributeProto_INT && a.GetI() == int64(graph.Float16)
	}
	return false
}

// widen makes float32 of all float16 in a graph and the graphs inside its nodes.
func widen(g *onnxpb.GraphProto) error {
	for i, t := range g.Initializer {
		wide, err := widened(t)
		if err != nil {
			return err
		}
		g.Initializer[i] = wide
	}
	for _, list := range [][]*onnxpb.ValueInfoProto{g.Input, g.Output, g.ValueInfo} {
		for _, v := range list {
			if t := v.GetType().GetTensorType(); t.GetElemType() == graph.Float16 {
				t.ElemType = proto.Int32(graph.Float32)
			}
		}
	}
	for _, n := range g.Node {
		for _, a := range n.Attribute {
			switch {
			case a.T != nil:
				wide, err := widened(a.T)
				if err != nil {
					return err
				}
				a.T = wide
			case toHalf(n, a):
				a.I = proto.Int64(int64(graph.Float32))
			}
		}
		for _, inside := range graph.Subgraphs(n) {
			if err := widen(inside); err != nil {
				return err
			}
		}
	}
	return nil
}

// widened is a float16 tensor in float32, and any other as it is.
func widened(t *onnxpb.TensorProto) (*onnxpb.TensorProto, error) {
	if t.GetDataType() != graph.Float16 {
		return t, nil
	}
	v, err := graph.FloatsOf(t)
	if err != nil {
		return nil, err
	}
	return graph.FloatTensor(t.GetName(), t.Dims, v), nil
}

// pixels makes the image input float32 and rounds it to the whole numbers that the network reads. Colours come as
// 255 times what was 255ths, which need not be whole.
func pixels(g *onnxpb.GraphProto, input string) {
	used := graph.Names(g)
	name := func(what string) string {
		s := input + "/" + what
		for used[s] {
			s += "_"
		}
		used[s] = true
		return s
	}
	rounded, whole := name("rounded"), name("uint8")
	for _, n := range g.Node {
		renameReads(n, input, whole)
	}
	g.Node = append([]*onnxpb.NodeProto{
		{OpType: proto.String("Round"), Name: proto.String(rounded), Input: []string{input}, Output: []string{rounded}},
		{OpType: proto.String("Cast"), Name: proto.String(whole), Input: []string{rounded}, Output: []string{whole},
			Attribute: []graph.Attr{graph.Int("to", int64(graph.Uint8))}},
	}, g.Node...)
	for _, in := range g.Input {
		if in.GetName() == input {
			in.Type.GetTensorType().ElemType = proto.Int32(graph.Float32)
		}
	}
}

// renameReads has a node, and the graphs inside it, read another tensor.
func renameReads(n *onnxpb.NodeProto, from, to string) {
	for i, in := range n.Input {
		if in == from {
			n.Input[i] = to
		}
	}
	for _, g := range graph.Subgraphs(n) {
		for _, inside := range g.Node {
			renameReads(inside, from, to)
		}
	}
}
