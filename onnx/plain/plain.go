// Package plain writes a network by fewer, plainer operators, so that these alone need derivatives.
package plain

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// Model returns the model with operators written by plainer ones that compute the same, so that these alone need
// derivatives:
//
//	Gather of one place        a Slice, and a Squeeze where the axis goes
//	ReduceL2                   the root of a sum of squares
//	Pow to 2, 3 or a half      products, a root
//	Gelu by tanh               its formula
//
// Nodes that no colours of the image and no weights reach stay as they are. Operator sets before 13 do.
func Model(m *graph.Model) (*graph.Model, error) {
	if m.Opset() < 13 {
		return m, nil
	}
	s, err := shape.Inferred(m, nil)
	if err != nil {
		return nil, err
	}
	p := &plainer{Inferer: s, inits: m.Initializers(), maker: map[string]*onnxpb.NodeProto{}, used: graph.Names(m.Graph)}
	for _, n := range s.Nodes {
		for _, out := range n.Output {
			p.maker[out] = n
		}
	}
	p.float = p.floats()
	for _, n := range s.Nodes {
		if !p.rewrite(n) {
			p.nodes = append(p.nodes, n)
		}
	}
	out := &graph.Model{ModelProto: graph.Shallow(m.ModelProto), Path: m.Path}
	out.Graph = graph.Shallow(m.Graph)
	out.Graph.Node, out.Graph.Initializer = p.nodes, append(slices.Clip(m.Graph.Initializer), p.added...)
	return out, out.Check()
}

// floats are the tensors that image and float weights reach other than as shapes.
func (p *plainer) floats() map[string]bool {
	f := map[string]bool{}
	for _, in := range p.Model.InputNames() {
		f[in] = true
	}
	for _, t := range p.Model.Graph.Initializer {
		f[t.GetName()] = t.GetDataType() == graph.Float32
	}
	for _, n := range p.Nodes {
		op := p.Model.Op(n).Standard()
		if op == "Shape" || op == "Size" || op == "Constant" || op == "ConstantOfShape" {
			continue
		}
		if slices.ContainsFunc(graph.Reads(n), func(in string) bool { return f[in] }) {
			for _, o := range n.Output {
				f[o] = true
			}
		}
	}
	return f
}

type plainer struct {
	*shape.Inferer
	inits map[string]*onnxpb.TensorProto
	maker map[string]*onnxpb.NodeProto
	float map[string]bool
	used  map[string]bool
	nodes []*onnxpb.NodeProto
	added []*onnxpb.TensorProto
}

func (p *plainer) name(base string) string {
	for i := 0; ; i++ {
		if name := fmt.Sprintf("%s/plain%d", base, i); !p.used[name] {
			p.used[name] = true
			return name
		}
	}
}

// node adds a node that makes output, or a name after base where output is "".
func (p *plainer) node(op, base, output string, inputs []string, attrs ...graph.Attr) string {
	if output == "" {
		output = p.name(base)
	}
	p.nodes = append(p.nodes, &onnxpb.NodeProto{OpType: proto.String(op), Name: proto.String(output), Input: inputs,
		Output: []string{output}, Attribute: attrs})
	return output
}

func (p *plainer) ints(base string, v ...int64) string {
	name := p.name(base)
	p.added = append(p.added, graph.IntTensor(name, []int64{int64(len(v))}, v))
	return name
}

func (p *plainer) scalar(base string, v float32) string {
	name := p.name(base)
	p.added = append(p.added, graph.FloatTensor(name, nil, []float32{v}))
	return name
}

// constant is the tensor that a name stands for, where an initializer or a Constant holds it.
func (p *plainer) constant(name string) *onnxpb.TensorProto {
	if n := p.maker[name]; n != nil {
		if p.Model.Op(n).Standard() == "Constant" {
			return graph.ConstantOf(n)
		}
		return nil
	}
	return p.inits[name]
}

// rewrite writes a node by plainer ones, false where it stays.
func (p *plainer) rewrite(n *onnxpb.NodeProto) bool {
	op := p.Model.Op(n).Standard()
	if len(n.Output) != 1 || len(n.Input) == 0 || !p.float[n.Input[0]] {
		return false
	}
	x, out := n.Input[0], n.Output[0]
	switch op {
	case "Gather":
		return p.gather(n)
	case "ReduceL2":
		in := []string{p.node("Mul", out, "", []string{x, x})}
		if axes := graph.FindInts(n, "axes"); axes != nil {
			in = append(in, p.ints(out, axes...))
		} else {
			in = append(in, n.Input[1:]...)
		}
		sum := p.node("ReduceSum", out, "", in, graph.Int("keepdims", graph.FindInt(n, "keepdims", 1)),
			graph.Int("noop_with_empty_axes", graph.FindInt(n, "noop_with_empty_axes", 0)))
		// the root's derivative at 0 is a number
		p.node("Sqrt", out, out, []string{p.node("Add", out, "", []string{sum, p.scalar(out, 1e-30)})})
	case "Pow":
		t := p.constant(n.Input[1])
		if t == nil {
			return false
		}
		power, err := graph.FloatsOf(t)
		if err != nil || len(power) != 1 || !slices.Contains([]float32{0.5, 2, 3}, power[0]) {
			return false
		}
		if power[0] == 0.5 {
			p.node("Sqrt", out, out, []string{x})
			break
		}
		if power[0] == 3 {
			x = p.node("Mul", out, "", []string{x, x})
		}
		p.node("Mul", out, out, []string{x, n.Input[0]})
	case "Gelu":
		if graph.FindStr(n, "approximate", "none") != "tanh" {
			return false
		}
		p.tanhGelu(x, out)
	default:
		return false
	}
	return true
}

// gather takes one place of an axis.
func (p *plainer) gather(n *onnxpb.NodeProto) bool {
	t := p.constant(n.Input[1])
	if t == nil {
		return false
	}
	at, err := graph.IntsOf(t)
	if err != nil || len(at) != 1 || len(t.Dims) > 1 {
		return false
	}
	out, axis := n.Output[0], graph.FindInt(n, "axis", 0)
	end := at[0] + 1
	if end == 0 {
		end = math.MaxInt64
	}
	in := []string{n.Input[0], p.ints(out, at[0]), p.ints(out, end), p.ints(out, axis)}
	if len(t.Dims) == 1 {
		p.node("Slice", out, out, in)
		return true
	}
	p.node("Squeeze", out, out, []string{p.node("Slice", out, "", in), p.ints(out, axis)})
	return true
}

// tanhGelu is x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
func (p *plainer) tanhGelu(x, out string) {
	mul := func(a, b string) string { return p.node("Mul", out, "", []string{a, b}) }
	add := func(a, b string) string { return p.node("Add", out, "", []string{a, b}) }
	cube := mul(mul(x, x), x)
	inner := mul(add(x, mul(cube, p.scalar(out, 0.044715))), p.scalar(out, float32(math.Sqrt(2/math.Pi))))
	bent := add(p.node("Tanh", out, "", []string{inner}), p.scalar(out, 1))
	p.node("Mul", out, out, []string{mul(x, p.scalar(out, 0.5)), bent})
}
