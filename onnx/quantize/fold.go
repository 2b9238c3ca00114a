// Package quantize makes an image network smaller and faster at the price of a
// stated loss: 8-bit integers, calibrated on photographs, or half precision.
//
// The inputs and outputs of the model stay float32. Int8 writes the form called
// QDQ: standard operators around the float ones, which ONNX Runtime and others
// turn into integer kernels.
package quantize

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/onnx/batchnorm"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// editor is a model that is being rewritten: a fresh list of nodes over shared tensors.
type editor struct {
	model *graph.Model
	g     *onnxpb.GraphProto
	inits map[string]*onnxpb.TensorProto
	uses  map[string][]*onnxpb.NodeProto // readers of a tensor
	maker map[string]*onnxpb.NodeProto
}

// edit copies what Int8, Half and Fold change and leaves m alone.
func edit(m *graph.Model) *editor {
	p := proto.Clone(&onnxpb.ModelProto{IrVersion: m.IrVersion, ProducerName: m.ProducerName,
		OpsetImport: m.OpsetImport, MetadataProps: m.MetadataProps}).(*onnxpb.ModelProto)
	p.Functions = m.Functions
	g := &onnxpb.GraphProto{Name: m.Graph.Name, Input: m.Graph.Input, Output: m.Graph.Output,
		Initializer: slices.Clone(m.Graph.Initializer)}
	p.Graph = g
	for _, n := range m.Graph.Node {
		g.Node = append(g.Node, &onnxpb.NodeProto{Name: n.Name, OpType: n.OpType, Domain: n.Domain,
			Overload: n.Overload,
			Input:    slices.Clone(n.Input), Output: slices.Clone(n.Output), Attribute: n.Attribute})
	}
	e := &editor{model: &graph.Model{ModelProto: p, Path: m.Path}, g: g}
	e.index()
	return e
}

// rewritable refuses what the rewriting of this package does not understand:
// graphs inside the graph, which could read any tensor, and operators of other
// domains than ONNX's and ONNX Runtime's, whatever their names.
func rewritable(m *graph.Model) error {
	for _, n := range m.Graph.Node {
		op := m.Op(n)
		if ours := op.Domain == "" || strings.HasPrefix(op.Domain, "com.microsoft"); !ours || op.Local {
			return failure.Usage(fmt.Errorf("quantize: %s: node %q is operator %s, which is not known here; "+
				"use float32", m.Path, n.GetName(), op))
		}
		for _, a := range n.GetAttribute() {
			if a.GetG() != nil || len(a.GetGraphs()) > 0 {
				return failure.Usage(fmt.Errorf("quantize: %s: "+
					"node %q (%s) has graphs inside it, which are not rewritten; use float32", m.Path, n.GetName(),
					n.GetOpType()))
			}
		}
	}
	return nil
}

func (e *editor) index() {
	e.inits, e.uses, e.maker = map[string]*onnxpb.TensorProto{}, map[string][]*onnxpb.NodeProto{},
		map[string]*onnxpb.NodeProto{}
	for _, t := range e.g.Initializer {
		e.inits[t.GetName()] = t
	}
	for _, n := range e.g.Node {
		for _, in := range n.Input {
			e.uses[in] = append(e.uses[in], n)
		}
		for _, out := range n.Output {
			e.maker[out] = n
		}
	}
}

// operator is the name of one of ONNX's own operators, "" for any other.
func (e *editor) operator(n *onnxpb.NodeProto) string { return e.model.Op(n).Standard() }

// isOutput reports whether a tensor leaves the graph.
func (e *editor) isOutput(name string) bool {
	return slices.ContainsFunc(e.g.Output, func(o *onnxpb.ValueInfoProto) bool { return o.GetName() == name })
}

// floats reads an initializer, nil if name is none, or none of floats.
func (e *editor) floats(name string) []float32 {
	t := e.inits[name]
	if t == nil {
		return nil
	}
	v, _ := graph.FloatsOf(t)
	return v
}

func (e *editor) add(t *onnxpb.TensorProto) string {
	e.g.Initializer = append(e.g.Initializer, t)
	e.inits[t.GetName()] = t
	return t.GetName()
}

// finish drops initializers that nothing reads and checks the model.
func (e *editor) finish() (*graph.Model, error) {
	used := map[string]bool{}
	for _, n := range e.g.Node {
		for _, in := range n.Input {
			used[in] = true
		}
	}
	e.g.Initializer = slices.DeleteFunc(e.g.Initializer,
		func(t *onnxpb.TensorProto) bool { return !used[t.GetName()] && !e.isOutput(t.GetName()) })
	if err := e.model.Check(); err != nil {
		return nil, err
	}
	return e.model, nil
}

// Fold multiplies each BatchNormalization into the Conv before it, in float64:
//
//	gamma (w*x + b - mean)/s + beta = (w gamma/s)*x + (b - mean) gamma/s + beta, s = sqrt(variance+eps)
//
// One that follows anything else, or a Conv that others read too, or that takes
// its statistics from the batch, stays.
func Fold(m *graph.Model) (*graph.Model, error) {
	if err := rewritable(m); err != nil {
		return nil, err
	}
	e := edit(m)
	gone := map[*onnxpb.NodeProto]bool{}
	for _, n := range e.g.Node {
		if e.operator(n) != "BatchNormalization" || len(n.Input) != 5 || len(n.Output) != 1 ||
			graph.FindInt(n, "training_mode", 0) != 0 {
			continue
		}
		conv := e.maker[n.Input[0]]
		if conv == nil || e.operator(conv) != "Conv" || len(conv.Input) < 2 || len(e.uses[conv.Output[0]]) != 1 ||
			e.isOutput(conv.Output[0]) {
			continue
		}
		if ok, err := e.foldInto(conv, n); err != nil {
			return nil, err
		} else if ok {
			gone[n] = true
		}
	}
	e.g.Node = slices.DeleteFunc(e.g.Node, func(n *onnxpb.NodeProto) bool { return gone[n] })
	return e.finish()
}

// foldInto folds norm into conv, unless a tensor of theirs is computed.
func (e *editor) foldInto(conv, norm *onnxpb.NodeProto) (bool, error) {
	n := batchnorm.Norm{
		Gamma: e.floats(norm.Input[1]), Beta: e.floats(norm.Input[2]), Mean: e.floats(norm.Input[3]),
		Variance: e.floats(norm.Input[4]),
		Epsilon:  float64(graph.FindFloat(norm, "epsilon", batchnorm.Epsilon)),
	}
	weight, shape := e.floats(conv.Input[1]), e.inits[conv.Input[1]].GetDims()
	if weight == nil || n.Gamma == nil || n.Beta == nil || n.Mean == nil || n.Variance == nil {
		return false, nil
	}
	if len(weight) == 0 || len(shape) == 0 {
		return false, nil // ONNX Runtime refuses such a Conv with its own words
	}
	channels := int(shape[0])
	bias := make([]float32, channels)
	if len(conv.Input) > 2 && conv.Input[2] != "" {
		if bias = e.floats(conv.Input[2]); bias == nil {
			return false, nil
		}
	}
	if len(bias) != channels || n.Channels() != channels {
		return false, failure.Data(fmt.Errorf("quantize: %s: node %q: its sizes do not fit the %s before it",
			e.model.Path, norm.GetName(), plural.Count(channels, "channel")))
	}
	weight, bias = n.IntoPrevious(weight, bias)
	name := norm.Output[0]
	conv.Input = []string{conv.Input[0], e.add(graph.FloatTensor(name+"/weight", shape, weight)),
		e.add(graph.FloatTensor(name+"/bias", shape[:1], bias))}
	conv.Output = []string{name}
	e.maker[name] = conv
	return true, nil
}
