package graph

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph/onnxpb"
)

// Inline returns the model with calls of its own functions replaced by their
// nodes, as PyTorch's dynamo exporter can leave them, so that the tensors
// inside can be inspected and cut. Without calls it returns m itself.
// Names inside a call are prefixed with the name of the calling node.
func (m *Model) Inline() (*Model, error) {
	if len(m.Functions) == 0 {
		return m, nil
	}
	in := &Inliner{Model: m, Functions: m.FunctionsByID(), budget: MaxNodes, Used: map[string]bool{}}
	nodes, err := in.expand(m.Graph.Node, 0)
	if err != nil {
		return nil, m.Badf("%w", err)
	}
	out := &Model{ModelProto: Shallow(m.ModelProto), Path: m.Path}
	out.Graph = Shallow(m.Graph)
	out.Graph.Node = nodes
	out.Functions = in.stillCalled(nodes)
	return out, out.Check()
}

// Inliner replaces calls of a model's own functions by their nodes.
type Inliner struct {
	Model     *Model
	Functions map[string]*onnxpb.FunctionProto
	budget    int
	Used      map[string]bool // prefixes
}

// CallID is what a node calls a function of the model by.
func CallID(domain, name, overload string) string {
	if domain == "ai.onnx" {
		domain = ""
	}
	return domain + "\x00" + name + "\x00" + overload
}

func (in *Inliner) expand(nodes []*onnxpb.NodeProto, depth int) ([]*onnxpb.NodeProto, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("functions call each other more than %d deep", MaxDepth)
	}
	var out []*onnxpb.NodeProto
	for _, n := range nodes {
		f := in.Functions[CallID(n.GetDomain(), n.GetOpType(), n.GetOverload())]
		if f == nil {
			if in.budget--; in.budget < 0 {
				return nil, fmt.Errorf("more than %d nodes once functions are written out", MaxNodes)
			}
			out = append(out, n)
			continue
		}
		if err := in.sameOpsets(f); err != nil {
			return nil, fmt.Errorf("node %s: %w", Label(n), err)
		}
		body, err := in.expand(in.Call(n, f), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, body...)
	}
	return out, nil
}

// stillCalled is the model's functions if a graph inside a node, which is left
// as it is, calls one of them, and nil otherwise.
func (in *Inliner) stillCalled(nodes []*onnxpb.NodeProto) []*onnxpb.FunctionProto {
	for _, n := range nodes {
		if in.Functions[CallID(n.GetDomain(), n.GetOpType(), n.GetOverload())] != nil {
			return in.Model.Functions
		}
		for _, sub := range Subgraphs(n) {
			if in.stillCalled(sub.Node) != nil {
				return in.Model.Functions
			}
		}
	}
	return nil
}

// sameOpsets checks that f means the same operators as the model around it.
func (in *Inliner) sameOpsets(f *onnxpb.FunctionProto) error {
	for _, o := range f.OpsetImport {
		for _, p := range in.Model.OpsetImport {
			same := p.GetDomain() == o.GetDomain() || IsONNX(p.GetDomain()) && IsONNX(o.GetDomain())
			if same && p.GetVersion() != o.GetVersion() {
				return fmt.Errorf("function %s uses version %d of domain %q, the model version %d; "+
					"export it for one version", f.GetName(), o.GetVersion(), o.GetDomain(), p.GetVersion())
			}
		}
	}
	return nil
}

// Call is the body of f with the names and attributes that node n passes.
func (in *Inliner) Call(n *onnxpb.NodeProto, f *onnxpb.FunctionProto) []*onnxpb.NodeProto {
	prefix := n.GetName()
	if prefix == "" && len(n.Output) > 0 {
		prefix = n.Output[0]
	}
	for in.Used[prefix] {
		prefix += "_"
	}
	in.Used[prefix] = true
	bound := map[string]string{}
	for i, formal := range f.Input {
		bound[formal] = ""
		if i < len(n.Input) {
			bound[formal] = n.Input[i]
		}
	}
	var tail []*onnxpb.NodeProto
	for i, formal := range f.Output {
		if i >= len(n.Output) || n.Output[i] == "" {
			continue
		}
		if actual, ok := bound[formal]; ok { // an input handed through
			tail = append(tail, &onnxpb.NodeProto{OpType: proto.String("Identity"), Input: []string{actual},
				Output: []string{n.Output[i]}})
			continue
		}
		bound[formal] = n.Output[i]
	}
	rename := func(s string) string {
		if actual, ok := bound[s]; ok {
			return actual
		}
		return prefix + "::" + s
	}
	body := Mapped(f.Node, func(inner *onnxpb.NodeProto) *onnxpb.NodeProto {
		c := renamedNode(inner, rename)
		if inner.GetName() != "" {
			c.Name = proto.String(prefix + "::" + inner.GetName())
		}
		c.Attribute = passed(c.Attribute, n, f)
		return c
	})
	return append(body, tail...)
}

// passed fills attributes that refer to those of the calling node, or to the
// function's defaults; one that neither gives is left out.
func passed(attrs []Attr, n *onnxpb.NodeProto, f *onnxpb.FunctionProto) []Attr {
	var out []Attr
	for _, a := range attrs {
		if ref := a.GetRefAttrName(); ref != "" {
			actual := Find(n, ref)
			if actual == nil {
				if i := slices.IndexFunc(f.AttributeProto, func(d Attr) bool { return d.GetName() == ref }); i >= 0 {
					actual = f.AttributeProto[i]
				}
			}
			if actual == nil {
				continue
			}
			actual = Shallow(actual)
			actual.Name = a.Name
			out = append(out, actual)
			continue
		}
		if a.G != nil || len(a.Graphs) > 0 {
			a = Shallow(a)
			inside := func(g *onnxpb.GraphProto) *onnxpb.GraphProto {
				g = Shallow(g)
				g.Node = Mapped(g.Node, func(c *onnxpb.NodeProto) *onnxpb.NodeProto {
					c = Shallow(c)
					c.Attribute = passed(c.Attribute, n, f)
					return c
				})
				return g
			}
			if a.G != nil {
				a.G = inside(a.G)
			}
			a.Graphs = Mapped(a.Graphs, inside)
		}
		out = append(out, a)
	}
	return out
}

// FunctionsByID are the model's own functions.
func (m *Model) FunctionsByID() map[string]*onnxpb.FunctionProto {
	byID := map[string]*onnxpb.FunctionProto{}
	for _, f := range m.Functions {
		byID[CallID(f.GetDomain(), f.GetName(), f.GetOverload())] = f
	}
	return byID
}
