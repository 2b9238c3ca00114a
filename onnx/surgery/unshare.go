package surgery

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// UnshareInitializers gives every Identity of an initializer a copy of its own instead, and
// every use of a float32 vector after the first. PyTorch's exporters write
// tensors that are equal once; a BatchNormalization's scale and variance, both
// ones in a fresh network, would otherwise train as one.
func UnshareInitializers(m *graph.Model) {
	unshareIdentities(m)
	unshareVectors(m)
}

// unshareVectors leaves matrices and filters shared: a network may mean that.
func unshareVectors(m *graph.Model) {
	inits, used := m.Initializers(), map[string]bool{}
	for _, n := range m.Graph.Node {
		for i, in := range n.Input {
			t := inits[in]
			if t == nil || len(n.Output) == 0 || t.GetDataType() != graph.Float32 || len(t.Dims) != 1 || t.Dims[0] < 2 {
				continue
			}
			if !used[in] {
				used[in] = true
				continue
			}
			own := proto.Clone(t).(*onnxpb.TensorProto)
			own.Name = proto.String(fmt.Sprintf("%s/%s.%d", in, n.Output[0], i))
			m.Graph.Initializer = append(slices.Clip(m.Graph.Initializer), own)
			n.Input[i] = own.GetName()
		}
	}
}

func unshareIdentities(m *graph.Model) {
	inits := m.Initializers()
	kept := make([]*onnxpb.NodeProto, 0, len(m.Graph.Node))
	for _, n := range m.Graph.Node {
		if m.Op(n).Standard() != "Identity" || len(n.Input) != 1 || len(n.Output) != 1 ||
			inits[n.Input[0]] == nil || isOutput(m, n.Output[0]) {
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

func isOutput(m *graph.Model, name string) bool {
	return slices.ContainsFunc(m.Graph.Output, func(o *onnxpb.ValueInfoProto) bool { return o.GetName() == name })
}
