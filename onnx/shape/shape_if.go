package shape

import (
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// ifRule infers the branches of If, which see the tensors around them; a
// dimension in which they differ is unknown.
func ifRule(s *Inferer, n *onnxpb.NodeProto) {
	var out [][]int64
	if taken := s.taken(n); taken != nil {
		s.takeBranch(n, taken)
		return
	}
	for b, branch := range graph.Subgraphs(n) {
		got, _ := s.branch(branch)
		if b == 0 {
			out = got
			continue
		}
		for i := range out {
			if i >= len(got) || got[i] == nil || len(got[i]) != len(out[i]) {
				out[i] = nil
				continue
			}
			for j, d := range got[i] {
				if d != out[i][j] {
					out[i][j] = -1
				}
			}
		}
	}
	for i, dims := range out {
		s.out(n, i, dims)
	}
}

// taken is the branch that an If takes, nil where only the run knows.
func (s *Inferer) taken(n *onnxpb.NodeProto) *onnxpb.GraphProto {
	which := s.value(n, 0)
	if len(which) != 1 {
		return nil
	}
	if which[0] != 0 {
		return graph.Find(n, "then_branch").GetG()
	}
	return graph.Find(n, "else_branch").GetG()
}

// takeBranch gives the outputs of an If what its branch makes, its integers too.
func (s *Inferer) takeBranch(n *onnxpb.NodeProto, g *onnxpb.GraphProto) {
	shapes, values := s.branch(g)
	for i, dims := range shapes {
		s.out(n, i, dims)
		if v := values[i]; v != nil && i < len(n.Output) {
			s.ints[n.Output[i]] = v
		}
	}
}

// branch infers the outputs of a graph inside a node and forgets the rest.
func (s *Inferer) branch(g *onnxpb.GraphProto) (shapes, values [][]int64) {
	nodes, _ := graph.SortNodes(g.Node) // of nodes in a circle nothing is known
	for _, t := range g.Initializer {
		s.constant(t.GetName(), t)
	}
	for _, n := range nodes {
		s.node(n, nil)
	}
	for _, o := range g.Output {
		shapes = append(shapes, slices.Clone(s.Dims[o.GetName()]))
		values = append(values, s.ints[o.GetName()])
	}
	for _, t := range g.Initializer {
		delete(s.Dims, t.GetName())
		delete(s.ints, t.GetName())
		delete(s.real, t.GetName())
	}
	for _, n := range nodes {
		for _, o := range n.Output {
			delete(s.Dims, o)
			delete(s.ints, o)
			delete(s.real, o)
		}
	}
	return shapes, values
}
