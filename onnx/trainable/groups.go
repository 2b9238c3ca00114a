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
// gets there or has no weights before it. Such a network of one group whose nodes say which
// block they stand in, as those of vision transformers do, has the groups "embed", "block1"
// and so on, and "norm" for what follows the last block. (The last group is the head, which
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
			if g := byScope(f); g != nil {
				return g, nil
			}
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
	w := newWeights(f)
	taken := map[string]bool{}
	for k := range groups { // earlier groups first: they own what is shared
		for i, n := range f.Nodes {
			if level[i] != k {
				continue
			}
			for _, t := range w.of(n) {
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

// Count is how many numbers of a whole model are weights.
func Count(m *graph.Model) (int64, error) {
	f, err := surgery.FlowOf(m)
	if err != nil {
		return 0, err
	}
	return collect(f, make([]int, len(f.Nodes)), 1)[0].Count, nil
}
