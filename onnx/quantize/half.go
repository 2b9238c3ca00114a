package quantize

import (
	"encoding/binary"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/internal/half"
	"finetune/internal/plural"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Half returns m with everything between two tensors in float16: weights half
// the size, and half the time on processors that have the arithmetic. What
// makes from, and what reads to, stays float32.
func Half(m *graph.Model, from, to string) (*graph.Model, error) {
	if err := rewritable(m); err != nil {
		return nil, err
	}
	e := edit(m)
	if e.maker[from] == nil || e.maker[to] == nil {
		return nil, fmt.Errorf("quantize: %s: no tensors %q and %q to lie between", m.Path, from, to)
	}
	outside := e.before(from)
	e.after(to, outside)
	narrow, wide := from+"/float16", to+"/float32"
	var nodes []*onnxpb.NodeProto
	for _, n := range e.g.Node {
		for i, in := range n.Input {
			switch {
			case outside[n] && in == to:
				n.Input[i] = wide
			case !outside[n] && in == from:
				n.Input[i] = narrow
			}
		}
		if !outside[n] {
			if err := e.narrow(n); err != nil {
				return nil, err
			}
		}
		nodes = append(nodes, n)
		for _, out := range n.Output {
			switch out {
			case from:
				nodes = append(nodes, cast(from, narrow, graph.Float16))
			case to:
				nodes = append(nodes, cast(to, wide, graph.Float32))
			}
		}
	}
	e.g.Node = nodes
	return e.finish()
}

// HalfWhole is Half for everything between a model's inputs and outputs.
func HalfWhole(m *graph.Model) (*graph.Model, error) {
	e := edit(m)
	if len(e.g.Input) != 1 || len(e.g.Output) != 1 {
		return nil, fmt.Errorf("quantize: %s: %s and %s; one each can be kept in float32", m.Path,
			plural.Count(len(e.g.Input), "input"), plural.Count(len(e.g.Output), "output"))
	}
	in, out := e.g.Input[0].GetName(), e.g.Output[0].GetName()
	first, last := in+"/inside", out+"/inside"
	for _, n := range e.g.Node {
		rename(n.Input, in, first)
		rename(n.Input, out, last)
		rename(n.Output, out, last)
	}
	e.g.Node = slices.Concat([]*onnxpb.NodeProto{identity(in, first)}, e.g.Node,
		[]*onnxpb.NodeProto{identity(last, out)})
	fenced, err := e.finish()
	if err != nil {
		return nil, err
	}
	return Half(fenced, first, last)
}

func rename(list []string, from, to string) {
	for i, name := range list {
		if name == from {
			list[i] = to
		}
	}
}

func identity(in, out string) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{Name: proto.String(out + "/identity"), OpType: proto.String("Identity"),
		Input: []string{in}, Output: []string{out}}
}

func cast(in, out string, elem int32) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{Name: proto.String(out), OpType: proto.String("Cast"), Input: []string{in},
		Output:    []string{out},
		Attribute: []graph.Attr{graph.Int("to", int64(elem))}}
}

// before is the nodes that a tensor is made by.
func (e *editor) before(tensor string) map[*onnxpb.NodeProto]bool {
	found := map[*onnxpb.NodeProto]bool{}
	var walk func(string)
	walk = func(t string) {
		n := e.maker[t]
		if n == nil || found[n] {
			return
		}
		found[n] = true
		for _, in := range n.Input {
			walk(in)
		}
	}
	walk(tensor)
	return found
}

// after adds the nodes that read a tensor, or what comes of it.
func (e *editor) after(tensor string, found map[*onnxpb.NodeProto]bool) {
	for _, n := range e.uses[tensor] {
		if !found[n] {
			found[n] = true
			for _, out := range n.Output {
				e.after(out, found)
			}
		}
	}
}

// narrow turns the float32 constants of a node into float16.
func (e *editor) narrow(n *onnxpb.NodeProto) error {
	for i, in := range n.Input {
		t := e.inits[in]
		if t == nil || t.GetDataType() != graph.Float32 || e.operator(n) == "Resize" {
			continue
		}
		name := in + "/float16"
		if e.inits[name] == nil {
			h, err := halves(name, t)
			if err != nil {
				return failure.Usage(fmt.Errorf("quantize: %s: tensor %q: %w", e.model.Path, in, err))
			}
			e.add(h)
		}
		n.Input[i] = name
	}
	for i, a := range n.Attribute {
		switch {
		case e.operator(n) == "Cast" && a.GetName() == "to" && a.GetI() == int64(graph.Float32):
			n.Attribute = slices.Clone(n.Attribute)
			n.Attribute[i] = graph.Int("to", int64(graph.Float16))
		case e.tensorOf(n, a).GetDataType() == graph.Float32:
			h, err := halves("", e.tensorOf(n, a))
			if err != nil {
				return failure.Usage(fmt.Errorf("quantize: %s: node %q: %w", e.model.Path, n.GetName(), err))
			}
			n.Attribute = slices.Clone(n.Attribute)
			n.Attribute[i] = graph.Tensor("value", h)
		}
	}
	return nil
}

// tensorOf is the value that an attribute gives its node, nil if it gives something else.
// A Constant may hold one or more plain numbers, which are float32.
func (e *editor) tensorOf(n *onnxpb.NodeProto, a graph.Attr) *onnxpb.TensorProto {
	op := e.operator(n)
	switch name := a.GetName(); {
	case op == "Constant" && name == "value_float":
		return graph.FloatTensor("", nil, []float32{a.GetF()})
	case op == "Constant" && name == "value_floats":
		return graph.FloatTensor("", []int64{int64(len(a.GetFloats()))}, a.GetFloats())
	case (op == "Constant" || op == "ConstantOfShape") && name == "value":
		return a.GetT()
	}
	return nil
}

// HalfTensor is t in float16 under a name. A number that float16 cannot hold is an error.
func HalfTensor(name string, t *onnxpb.TensorProto) (*onnxpb.TensorProto, error) {
	return halves(name, t)
}

func halves(name string, t *onnxpb.TensorProto) (*onnxpb.TensorProto, error) {
	v, err := graph.FloatsOf(t)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 0, 2*len(v))
	for _, x := range v {
		h := half.From(x)
		if h&0x7c00 == 0x7c00 {
			return nil, fmt.Errorf("%g is more than float16 can hold; use float32", x)
		}
		raw = binary.LittleEndian.AppendUint16(raw, h)
	}
	return bytesTensor(name, graph.Float16, t.GetDims(), raw), nil
}
