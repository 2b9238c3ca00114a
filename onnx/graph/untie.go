package graph

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph/onnxpb"
)

// Untie gives every Identity of an initializer a copy of its own instead.
// PyTorch's exporter writes tensors that are equal once and the others so; a
// BatchNormalization's scale and variance, both ones in a fresh network, would
// otherwise train as one.
func (m *Model) Untie() {
	inits := m.Initializers()
	kept := make([]*onnxpb.NodeProto, 0, len(m.Graph.Node))
	for _, n := range m.Graph.Node {
		if n.GetOpType() != "Identity" || n.GetDomain() != "" || len(n.Input) != 1 || len(n.Output) != 1 ||
			inits[n.Input[0]] == nil || m.isOutput(n.Output[0]) {
			kept = append(kept, n)
			continue
		}
		t := proto.Clone(inits[n.Input[0]]).(*onnxpb.TensorProto)
		t.Name = proto.String(n.Output[0])
		inits[t.GetName()] = t
		m.Graph.Initializer = append(slices.Clip(m.Graph.Initializer), t)
	}
	m.Graph.Node = kept
}

func (m *Model) isOutput(name string) bool {
	return slices.ContainsFunc(m.Graph.Output, func(o *onnxpb.ValueInfoProto) bool { return o.GetName() == name })
}
