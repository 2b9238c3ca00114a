package surgery

import (
	"errors"
	"fmt"
	"slices"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// CheckInference returns an error of kind failure.Data that names a node, if
// what the model gives for a photograph is not a function of the photograph:
//
//   - a BatchNormalization in training mode, which takes the mean and variance of
//     the batch at hand;
//   - a Dropout in training mode, and operators that draw random numbers.
//
// Exporters write such nodes when the network was not put into evaluation mode.
// Graphs inside nodes and functions are looked into as well.
func CheckInference(m *graph.Model) error {
	c := &inferenceCheck{Inliner: &graph.Inliner{Model: m, Functions: m.FunctionsByID(), Used: map[string]bool{}},
		budget: graph.MaxNodes}
	opset := m.Opset()
	c.walk(m.Graph.Node, opset, constantsOf(m.Graph, nil), 0)
	switch {
	case c.err != nil:
		return m.Badf("%w", c.err)
	case c.found == nil:
		return nil
	}
	more := ""
	if n := len(c.found) - 1; n > 0 {
		more = fmt.Sprintf(", as are %d more", n)
	}
	return m.Badf("node %s%s: predictions would depend on the other photographs of the batch, or be random; export "+
		"the network in inference mode (PyTorch: net.eval(), then torch.onnx.export without training=)",
		c.found[0], more)
}

// inferenceCheck walks over all nodes that can run.
type inferenceCheck struct {
	*graph.Inliner
	budget int
	found  []string // nodes, and what is wrong with them
	err    error
}

func (c *inferenceCheck) walk(nodes []*onnxpb.NodeProto, opset int64, known *constants, depth int) {
	if c.budget -= len(nodes); c.budget < 0 || depth > graph.MaxDepth {
		c.err = errors.New("too many nodes, or nested too deep, to look for those in training mode; " +
			"use a plainer export")
	}
	if c.err != nil {
		return
	}
	if sorted, err := graph.SortNodes(nodes); err == nil {
		nodes = sorted // constants come before their use
	}
	for _, n := range nodes {
		if f := c.Functions[graph.CallID(n.GetDomain(), n.GetOpType(), n.GetOverload())]; f != nil {
			c.walk(c.Call(n, f), functionOpset(f, opset), known, depth+1)
			continue
		}
		known.learn(n)
		if graph.IsONNX(n.GetDomain()) {
			if what := trainingMode(n, opset, known); what != "" {
				c.found = append(c.found, graph.Label(n)+" "+what)
			}
		}
		for _, g := range graph.Subgraphs(n) {
			c.walk(g.Node, opset, constantsOf(g, known), depth+1)
		}
	}
}

func functionOpset(f *onnxpb.FunctionProto, def int64) int64 {
	for _, o := range f.OpsetImport {
		if graph.IsONNX(o.GetDomain()) {
			return o.GetVersion()
		}
	}
	return def
}

// random are the operators that draw.
var random = []string{"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
	"Multinomial"}

// trainingMode says how a node of ONNX's own operators is bound to its batch or
// to chance, "" if it is not. Before version 7 of the operator set is_test has to
// say that a node is for inference, from 7 to 13 the further outputs of
// BatchNormalization say that it is not, then training_mode does.
func trainingMode(n *onnxpb.NodeProto, opset int64, known *constants) string {
	switch op := n.GetOpType(); {
	case slices.Contains(random, op):
		return "draws random numbers"
	case op != "BatchNormalization" && op != "Dropout":
		return ""
	case opset < 7:
		if graph.FindInt(n, "is_test", 0) == 0 {
			return "is in training mode (is_test is not set)"
		}
	case op == "BatchNormalization":
		statistics := slices.ContainsFunc(n.Output[min(1, len(n.Output)):], func(o string) bool { return o != "" })
		if statistics || graph.FindInt(n, "training_mode", 0) != 0 {
			return "is in training mode"
		}
	case opset >= 12 && len(n.Input) > 2 && n.Input[2] != "":
		if zero, ok := known.isZero(n.Input[1]); ok && zero { // drops nothing
			return ""
		}
		off, ok := known.isZero(n.Input[2])
		if !ok {
			return "may be in training mode (what says so is computed)"
		}
		if !off {
			return "is in training mode"
		}
	}
	return ""
}

// constants are the single numbers of a graph that are known to be zero, or
// false, or known not to be, with those of the graphs around it.
type constants struct {
	zero  map[string]bool
	outer *constants
	own   map[string]bool // every name of this graph, which hides one outside
}

func constantsOf(g *onnxpb.GraphProto, outer *constants) *constants {
	c := &constants{map[string]bool{}, outer, map[string]bool{}}
	for _, in := range g.Input {
		c.own[in.GetName()] = true
	}
	for _, t := range g.Initializer {
		c.tensor(t.GetName(), t)
	}
	return c
}

func (c *constants) isZero(name string) (zero, ok bool) {
	for ; c != nil; c = c.outer {
		if zero, ok = c.zero[name]; ok || c.own[name] {
			return zero, ok
		}
	}
	return false, false
}

// learn notes what a node makes of constants.
func (c *constants) learn(n *onnxpb.NodeProto) {
	for _, out := range n.Output {
		c.own[out] = true
	}
	if len(n.Output) != 1 || !graph.IsONNX(n.GetDomain()) {
		return
	}
	out := n.Output[0]
	switch n.GetOpType() {
	case "Constant":
		c.constant(out, n)
	case "Identity", "Cast", "Not", "Reshape", "Squeeze", "Unsqueeze":
		if zero, ok := c.isZero(graph.FirstInput(n)); ok {
			c.zero[out] = zero != (n.GetOpType() == "Not")
		}
	}
}

func (c *constants) constant(out string, n *onnxpb.NodeProto) {
	switch {
	case graph.Find(n, "value").GetT() != nil:
		c.tensor(out, graph.Find(n, "value").GetT())
	case graph.Find(n, "value_int") != nil:
		c.zero[out] = graph.FindInt(n, "value_int", 0) == 0
	case graph.Find(n, "value_float") != nil:
		c.zero[out] = graph.FindFloat(n, "value_float", 0) == 0
	}
}

// tensor notes a tensor of one element.
func (c *constants) tensor(name string, t *onnxpb.TensorProto) {
	c.own[name] = true
	if dims.Product(t.GetDims()) != 1 || t.GetDataLocation() == onnxpb.TensorProto_EXTERNAL {
		return
	}
	if _, err := graph.Sized(t); err != nil {
		return
	}
	switch raw := t.GetRawData(); {
	case raw != nil:
		c.zero[name] = !slices.ContainsFunc(raw, func(b byte) bool { return b != 0 })
	case len(t.GetInt32Data()) == 1:
		c.zero[name] = t.GetInt32Data()[0] == 0
	case len(t.GetInt64Data()) == 1:
		c.zero[name] = t.GetInt64Data()[0] == 0
	case len(t.GetFloatData()) == 1:
		c.zero[name] = t.GetFloatData()[0] == 0
	case len(t.GetDoubleData()) == 1:
		c.zero[name] = t.GetDoubleData()[0] == 0
	}
}

// Uses reports whether an operator of ONNX's own occurs anywhere in the model.
func Uses(m *graph.Model, op string) bool {
	lists := [][]*onnxpb.NodeProto{m.Graph.Node}
	for _, f := range m.Functions {
		lists = append(lists, f.Node)
	}
	return slices.ContainsFunc(lists, func(nodes []*onnxpb.NodeProto) bool { return usesOperator(m, nodes, op) })
}

func usesOperator(m *graph.Model, nodes []*onnxpb.NodeProto, op string) bool {
	return slices.ContainsFunc(nodes, func(n *onnxpb.NodeProto) bool {
		return m.Op(n).Standard() == op ||
			slices.ContainsFunc(graph.Subgraphs(n), func(g *onnxpb.GraphProto) bool { return usesOperator(m, g.Node, op) })
	})
}
