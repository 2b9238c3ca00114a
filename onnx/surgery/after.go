package surgery

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// FrozenOutputs names the tensors that leave the part of the model which none of
// the trainable initializers reaches and which the model's input does: what
// stays the same for an image while they train. Where it is one tensor, CutAt
// gives what stands before it and After what follows.
func FrozenOutputs(m *graph.Model, trainable []string) ([]string, error) {
	nodes, err := m.Sorted()
	if err != nil {
		return nil, err
	}
	moving, data := map[string]bool{}, map[string]bool{}
	for _, name := range trainable {
		moving[name] = true
	}
	for _, in := range m.Inputs() {
		data[in.Name] = true
	}
	var list []string
	leaves := func(name string) {
		if data[name] && !moving[name] && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	for _, n := range nodes {
		reads := graph.Reads(n)
		isMoving := slices.ContainsFunc(reads, func(in string) bool { return moving[in] })
		isData := slices.ContainsFunc(reads, func(in string) bool { return data[in] })
		for _, out := range n.Output {
			moving[out], data[out] = isMoving, isData
		}
		if isMoving {
			for _, in := range reads {
				leaves(in)
			}
		}
	}
	for _, out := range m.Graph.Output {
		leaves(out.GetName())
	}
	return list, nil
}

// After returns the part of the model behind tensor, which becomes its input,
// float32 [N, row...]; its outputs are the model's. Another input that this
// part needs too is an error of kind failure.Data.
func After(m *graph.Model, tensor string, row []int64) (*graph.Model, error) {
	nodes, err := m.Sorted()
	if err != nil {
		return nil, err
	}
	maker := slices.IndexFunc(nodes, func(n *onnxpb.NodeProto) bool { return slices.Contains(n.Output, tensor) })
	if maker < 0 {
		return nil, m.Badf("no node makes tensor %q", tensor)
	}
	nodes = slices.Delete(slices.Clone(nodes), maker, maker+1)
	var keep []string
	for _, out := range m.Graph.Output {
		keep = append(keep, out.GetName())
	}
	input := tensor
	if slices.Contains(keep, tensor) { // an input cannot be an output too
		input = tensor + "/given"
		nodes = append([]*onnxpb.NodeProto{{OpType: proto.String("Identity"), Name: proto.String(input),
			Input: []string{input}, Output: []string{tensor}}}, nodes...)
	}
	out := &graph.Model{ModelProto: graph.Shallow(m.ModelProto), Path: m.Path}
	out.Graph = pruned(m.Graph, nodes, keep)
	if len(out.Graph.Input) > 0 {
		return nil, m.Badf("what follows tensor %q reads input %q too, so it cannot start there", tensor,
			out.Graph.Input[0].GetName())
	}
	shape := []any{m.BatchName()}
	for _, d := range row {
		shape = append(shape, d)
	}
	out.Graph.Input = []*onnxpb.ValueInfoProto{graph.ValueInfo(input, graph.Float32, shape)}
	out.Graph.Output = m.Graph.Output
	return out, out.Check()
}
