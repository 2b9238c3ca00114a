package graph

import (
	"fmt"
	"slices"

	"finetune/onnx/graph/onnxpb"
)

// Limits on what is read; the largest image networks have a few thousand nodes.
const (
	MaxNodes = 200_000
	MaxDepth = 16 // graphs inside graphs (If, Loop)
)

// Check returns an error of kind failure.Data, naming the file and the node,
// if a tensor is made twice, used without being made, depends on itself, or
// has data that does not fit its dimensions, or if a stride is less than one.
func (m *Model) Check() error {
	budget := MaxNodes
	if err := checkGraph(m.Graph, nil, &budget, 0); err != nil {
		return m.Badf("%w", err)
	}
	for _, f := range m.Functions {
		body := &onnxpb.GraphProto{Name: f.Name, Node: f.Node}
		for _, in := range f.Input {
			body.Input = append(body.Input, &onnxpb.ValueInfoProto{Name: &in})
		}
		for _, out := range f.Output {
			body.Output = append(body.Output, &onnxpb.ValueInfoProto{Name: &out})
		}
		if err := checkGraph(body, nil, &budget, 0); err != nil {
			return m.Badf("function %s.%s: %w", f.GetDomain(), f.GetName(), err)
		}
	}
	return nil
}

// checkGraph checks g, in which the tensors of outer can be used too.
func checkGraph(g *onnxpb.GraphProto, outer *scope, budget *int, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("graphs nested more than %d deep; use a plainer export", MaxDepth)
	}
	if *budget -= len(g.Node); *budget < 0 {
		return fmt.Errorf("more than %d nodes; use a smaller model", MaxNodes)
	}
	s := &scope{names: map[string]bool{}, outer: outer}
	if err := declare(g, s); err != nil {
		return err
	}
	for _, n := range g.Node {
		for _, in := range n.Input {
			if in != "" && !s.has(in) {
				return fmt.Errorf("node %s: input %q is made by no node, input or initializer; export the model again",
					Label(n), in)
			}
		}
		if i := slices.IndexFunc(FindInts(n, "strides"), func(v int64) bool { return v < 1 }); i >= 0 {
			// ONNX Runtime before 1.28 divides by it and crashes
			return fmt.Errorf("node %s: a stride of %d; export the model again", Label(n), FindInts(n, "strides")[i])
		}
		for _, sub := range Subgraphs(n) {
			if err := checkGraph(sub, s, budget, depth+1); err != nil {
				return fmt.Errorf("node %s: %w", Label(n), err)
			}
		}
	}
	for _, out := range g.Output {
		if !s.has(out.GetName()) {
			return fmt.Errorf("output %q is made by no node, input or initializer; export the model again",
				out.GetName())
		}
	}
	_, err := SortNodes(g.Node)
	return err
}

// scope is the set of tensors a graph can use: its own and those around it.
type scope struct {
	names map[string]bool
	outer *scope
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.outer {
		if s.names[name] {
			return true
		}
	}
	return false
}

func declare(g *onnxpb.GraphProto, s *scope) error {
	add := func(name, what string) error {
		if name == "" {
			return nil
		}
		if s.names[name] {
			return fmt.Errorf("%s: tensor %q is made twice; export the model again", what, name)
		}
		s.names[name] = true
		return nil
	}
	for _, in := range g.Input {
		if err := add(in.GetName(), "inputs"); err != nil {
			return err
		}
	}
	inits := map[string]bool{} // an initializer may also be an input: its default
	for _, t := range g.Initializer {
		if t.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
			if _, err := Sized(t); err != nil {
				return fmt.Errorf("initializers: %w; export the model again", err)
			}
		}
		if inits[t.GetName()] {
			return fmt.Errorf("initializers: tensor %q is there twice; export the model again", t.GetName())
		}
		inits[t.GetName()], s.names[t.GetName()] = true, true
	}
	for _, t := range g.SparseInitializer {
		s.names[t.GetValues().GetName()] = true
	}
	for _, n := range g.Node {
		for _, out := range n.Output {
			if err := add(out, "node "+Label(n)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Label names a node for people: its name and operator.
func Label(n *onnxpb.NodeProto) string {
	name := n.GetName()
	if name == "" && len(n.Output) > 0 {
		name = n.Output[0]
	}
	return fmt.Sprintf("%q (%s)", name, n.GetOpType())
}

// Subgraphs lists the graphs that node n carries as attributes.
func Subgraphs(n *onnxpb.NodeProto) []*onnxpb.GraphProto {
	var all []*onnxpb.GraphProto
	for _, a := range n.Attribute {
		if a.G != nil {
			all = append(all, a.G)
		}
		all = append(all, a.Graphs...)
	}
	return all
}

// Reads lists the tensors that node n reads: its inputs, and what the graphs inside
// it take from around them.
func Reads(n *onnxpb.NodeProto) []string {
	var names []string
	for _, in := range n.Input {
		if in != "" {
			names = append(names, in)
		}
	}
	for _, sub := range Subgraphs(n) {
		names = append(names, captured(sub)...)
	}
	return names
}

// captured lists the tensors that g reads but does not make.
func captured(g *onnxpb.GraphProto) []string {
	own := map[string]bool{}
	for _, in := range g.Input {
		own[in.GetName()] = true
	}
	for _, t := range g.Initializer {
		own[t.GetName()] = true
	}
	for _, t := range g.SparseInitializer {
		own[t.GetValues().GetName()] = true
	}
	var read []string
	for _, n := range g.Node {
		for _, out := range n.Output {
			own[out] = true
		}
		read = append(read, Reads(n)...)
	}
	for _, out := range g.Output {
		read = append(read, out.GetName())
	}
	var free []string
	for _, name := range read {
		if !own[name] {
			free = append(free, name)
		}
	}
	return free
}

// Sorted returns the nodes of the main graph so that each comes after those it
// reads from; nodes already in such an order keep it.
func (m *Model) Sorted() ([]*onnxpb.NodeProto, error) {
	nodes, err := SortNodes(m.Graph.Node)
	if err != nil {
		return nil, m.Badf("%w", err)
	}
	return nodes, nil
}

// SortNodes orders nodes so that each comes behind those that it reads.
func SortNodes(nodes []*onnxpb.NodeProto) ([]*onnxpb.NodeProto, error) {
	maker := map[string]int{}
	for i, n := range nodes {
		for _, out := range n.Output {
			if out != "" {
				maker[out] = i
			}
		}
	}
	const visiting, done = 1, 2
	state := make([]byte, len(nodes))
	order := make([]*onnxpb.NodeProto, 0, len(nodes))
	var visit func(i int) error
	visit = func(i int) error {
		switch state[i] {
		case done:
			return nil
		case visiting:
			return fmt.Errorf("node %s: depends on its own output; export the model again", Label(nodes[i]))
		}
		state[i] = visiting
		for _, name := range Reads(nodes[i]) {
			if j, ok := maker[name]; ok {
				if err := visit(j); err != nil {
					return err
				}
			}
		}
		state[i] = done
		order = append(order, nodes[i])
		return nil
	}
	for i := range nodes {
		if err := visit(i); err != nil {
			return nil, err
		}
	}
	return order, nil
}
