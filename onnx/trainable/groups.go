// Package trainable tells which tensors of a network are weights, and in which groups of layers they train.
package trainable

import (
	"fmt"
	"slices"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// Group is a run of layers that train at one rate.
type Group struct {
	Name       string   `json:"name"`
	First      string   `json:"first"`      // its first node with weights
	Parameters []string `json:"parameters"` // trainable initializers, in the order of use
	Count      int64    `json:"count"`      // numbers in them
}

// Groups divides a body into layer groups, input side first. Each of splits
// names a node, or the tensor it makes, that opens the next group together
// with all that depends on it; an unknown name is an error. Without splits a
// body has two groups, "early" and "middle", the second opened where the
// stride reaches 16 (layer3 of a ResNet), or one, "body", if the stride never
// gets there or has no weights before it. (The last group is the head, which
// is not part of a body.) A weight used in two groups belongs to the earlier.
func Groups(m *graph.Model, splits ...string) ([]Group, error) {
	f, err := surgery.FlowOf(m)
	if err != nil {
		return nil, err
	}
	nodes := f.Nodes
	if len(splits) == 0 {
		groups := collect(f, strideLevels(m, nodes), 2)
		if len(groups[0].Parameters) == 0 || len(groups[1].Parameters) == 0 {
			return withNames(collect(f, make([]int, len(nodes)), 1)), nil
		}
		return withNames(groups), nil
	}
	level, err := splitLevels(m, nodes, splits)
	if err != nil {
		return nil, err
	}
	groups := collect(f, level, len(splits)+1)
	for k, g := range groups {
		if len(g.Parameters) == 0 {
			return nil, m.Badf("layer group %d of %d has no weights of its own; split at other nodes", k+1, len(groups))
		}
	}
	return withNames(groups), nil
}

func withNames(groups []Group) []Group {
	for k := range groups {
		switch len(groups) {
		case 1:
			groups[k].Name = "body"
		case 2:
			groups[k].Name = []string{"early", "middle"}[k]
		default:
			groups[k].Name = fmt.Sprintf("group%d", k+1)
		}
	}
	return groups
}

// collect gathers the weights of the nodes at each level.
func collect(f *surgery.Flow, level []int, count int) []Group {
	groups := make([]Group, count)
	inits := f.Model.Initializers()
	taken := map[string]bool{}
	for k := range groups { // earlier groups first: they own what is shared
		for i, n := range f.Nodes {
			if level[i] != k {
				continue
			}
			for _, t := range weightsOf(f, n, inits) {
				if taken[t.GetName()] {
					continue
				}
				taken[t.GetName()] = true
				if groups[k].First == "" {
					groups[k].First = nodeName(n)
				}
				groups[k].Parameters = append(groups[k].Parameters, t.GetName())
				groups[k].Count += dims.Product(t.Dims)
			}
		}
	}
	return groups
}

func nodeName(n *onnxpb.NodeProto) string {
	if n.GetName() != "" || len(n.Output) == 0 {
		return n.GetName()
	}
	return n.Output[0]
}

// splitLevels numbers the nodes by how many of splits they are, or depend on.
func splitLevels(m *graph.Model, nodes []*onnxpb.NodeProto, splits []string) ([]int, error) {
	found := make([]bool, len(splits))
	own := func(n *onnxpb.NodeProto) int {
		for i, s := range splits {
			if s == n.GetName() || slices.Contains(n.Output, s) {
				found[i] = true
				return i + 1
			}
		}
		return 0
	}
	level := forward(nodes, func(n *onnxpb.NodeProto, before int) int { return max(before, own(n)) })
	for i, ok := range found {
		if !ok {
			return nil, m.Badf("no node or tensor is called %q; "+
				"a split names a node or one of its outputs, as `finetune inspect` lists them", splits[i])
		}
	}
	return level, nil
}

// strideLevels is 1 for the nodes at a stride of 16 or more, 0 for those before.
func strideLevels(m *graph.Model, nodes []*onnxpb.NodeProto) []int {
	stride := forward(nodes, func(n *onnxpb.NodeProto, before int) int {
		return min(max(before, 1)*ownStride(m, n), 1<<20)
	})
	level := make([]int, len(nodes))
	for i := range nodes {
		if stride[i] >= 16 {
			level[i] = 1
		}
	}
	return level
}

// ownStride is the factor by which node n shrinks a map.
func ownStride(m *graph.Model, n *onnxpb.NodeProto) int {
	switch op := m.Op(n); op {
	case graph.Op{Name: "Conv"}, graph.Op{Domain: graph.Contrib, Name: "FusedConv"}, graph.Op{Name: "QLinearConv"},
		graph.Op{Name: "MaxPool"},
		graph.Op{Name: "AveragePool"}, graph.Op{Name: "LpPool"}:
		if s := graph.FindInts(n, "strides"); len(s) > 0 {
			return int(min(max(s[0], 1), 1<<20))
		}
	case graph.Op{Name: "SpaceToDepth"}:
		return int(min(max(graph.FindInt(n, "blocksize", 1), 1), 1<<20))
	}
	return 1
}

// forward computes a number for each node from the largest among the makers of
// its inputs, 0 where there is none.
func forward(nodes []*onnxpb.NodeProto, f func(n *onnxpb.NodeProto, before int) int) []int {
	at := map[string]int{}
	out := make([]int, len(nodes))
	for i, n := range nodes {
		before := 0
		for _, in := range graph.Reads(n) {
			before = max(before, at[in])
		}
		out[i] = f(n, before)
		for _, o := range n.Output {
			at[o] = out[i]
		}
	}
	return out
}

// trained are the inputs of each operator that hold weights.
var trained = map[graph.Op][]int{}

func init() {
	graph.OpsNamed(trained, "", []int{1, 2}, "Conv", "ConvTranspose", "Gemm", "BatchNormalization",
		"InstanceNormalization",
		"LayerNormalization", "GroupNormalization")
	graph.OpsNamed(trained, graph.Contrib, []int{1, 2}, "FusedConv")
	graph.OpsNamed(trained, "", []int{1}, "PRelu")
	graph.OpsNamed(trained, "", []int{0, 1}, "MatMul", "Add", "Mul")
}

// weightsOf lists the initializers that node n would train, also those that
// reach it through a node that only passes them on. Batch statistics and
// single numbers are not trained; nor are constants: see isConstant. Class and
// register tokens, which are joined to those of the patches, are.
func weightsOf(f *surgery.Flow, n *onnxpb.NodeProto, inits map[string]*onnxpb.TensorProto) []*onnxpb.TensorProto {
	op := f.Model.Op(n)
	places := trained[op]
	if op.Standard() == "Concat" {
		for i := range n.Input {
			places = append(slices.Clip(places), i)
		}
	}
	var list []*onnxpb.TensorProto
	for _, i := range places {
		if i >= len(n.Input) {
			continue
		}
		t := inits[origin(f, n.Input[i])]
		if t == nil || !graph.IsFloat(t.GetDataType()) || t.GetDataType() == int32(onnxpb.TensorProto_BFLOAT16) ||
			dims.Product(t.Dims) <= 1 || isConstant(f, op.Standard(), n, i, t) {
			continue
		}
		list = append(list, t)
	}
	return list
}

// isConstant reports whether t, input i of n, is no weight:
//
//   - what is added to colours, or multiplies them, before the first layer: preprocessing
//   - what multiplies along more than one axis: the tables of rotary positions (a layer scale has one axis)
//   - what is added and holds nothing but 0 and large negative numbers: a mask of attention
//   - what is joined and is no row of tokens [1, tokens, channels]
func isConstant(f *surgery.Flow, op string, n *onnxpb.NodeProto, i int, t *onnxpb.TensorProto) bool {
	wide := 0
	for _, d := range t.Dims {
		if d > 1 {
			wide++
		}
	}
	switch op {
	case "Add", "Mul":
		other := n.Input[min(1-i, len(n.Input)-1)]
		return f.Colours(other) && f.Layers(other) == 0 || op == "Mul" && wide > 1 || op == "Add" && isMask(t)
	case "Concat":
		return !f.Colours(n.Output[0]) || len(t.Dims) != 3 || t.Dims[0] != 1 || graph.FindInt(n, "axis", 0) != 1
	}
	return false
}

// isMask reports whether t holds 0 and large negative numbers, and nothing else.
func isMask(t *onnxpb.TensorProto) bool {
	if len(t.Dims) < 2 {
		return false
	}
	values, err := graph.FloatsOf(t)
	return err == nil && !slices.ContainsFunc(values, func(v float32) bool { return v != 0 && v > -50 }) &&
		slices.ContainsFunc(values, func(v float32) bool { return v != 0 })
}

// origin follows a tensor back through nodes that pass their first input on.
func origin(f *surgery.Flow, name string) string {
	for n := f.Maker(name); n != nil; n = f.Maker(name) {
		switch f.Model.Op(n).Standard() {
		case "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Expand":
			name = graph.FirstInput(n)
		default:
			return name
		}
	}
	return name
}

// Count is how many numbers of a whole model are weights.
func Count(m *graph.Model) (int64, error) {
	f, err := surgery.FlowOf(m)
	if err != nil {
		return 0, err
	}
	return collect(f, make([]int, len(f.Nodes)), 1)[0].Count, nil
}
