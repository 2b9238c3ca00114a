// Package surgery cuts and joins networks. It finds the cut, where the features end. It
// finds the trainable weights and their layer groups. It connects one model behind
// another, and prepares networks for training.
package surgery

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// FindCut finds the tensor where the features of a network end, the place to cut a
// classifier in two, and its number of channels; At tells what kind of features it is.
//
// It is the tensor that enters the last global pooling. Where there is none, it is the
// last tokens or map of channels last that everything passes through, or the vector
// that attention made of them; an output called image_embeds goes before.
//
// Pooling is global if it reduces the spatial axes to nothing (GlobalAveragePool
// and its kin, ReduceMean over both axes, one after the other or flattened
// first, AveragePool as large as its input) or if the map is flattened into
// features, as VGG does. Squeeze-and-excitation pools too, but beside the path
// of the data; so the last pooling counts that everything must pass through.
// Where sizes are left open, 224 by 224 pixels are assumed.
//
// The error, of kind failure.Data, names --cut and tensors to try.
func FindCut(m *graph.Model) (tensor string, channels int64, err error) {
	flat, err := m.Inline()
	if err != nil {
		return "", 0, err
	}
	v, err := survey(flat)
	if err != nil {
		return "", 0, err
	}
	f := v.flow()
	c, err := f.found()
	switch {
	case err != nil:
		return "", 0, m.Badf("%w", err)
	case c.Tensor != "":
		return c.Tensor, c.Channels, nil
	case v.counts():
		return "", 0, m.Badf("its operators compute in integers (QLinearConv and the like), " +
			"so it has no feature map; give the float32 network, which --body-precision int8 quantises here, " +
			"or quantise it with QuantizeLinear and DequantizeLinear (QDQ)")
	}
	if domain := optimised(flat); domain != "" {
		return "", 0, m.Badf("no feature map, tokens or vector is found: it has operators of %s, as ONNX Runtime's "+
			"optimiser writes them; give the .onnx from before that (of what is left, %s)", domain, f.advice())
	}
	return "", 0, m.Badf("no feature map, tokens or vector that all data passes through; %s", f.advice())
}

// optimised is the domain of an operator that ONNX Runtime's optimiser writes, "" if there is none.
func optimised(m *graph.Model) string {
	for _, n := range m.Graph.Node {
		if d := n.GetDomain(); strings.HasPrefix(d, graph.Contrib) {
			return d
		}
	}
	return ""
}

// view is a graph with its shapes and the maker of each tensor at hand.
type view struct {
	*shape.Inferer
	maker map[string]*onnxpb.NodeProto
}

// survey looks at a graph for images of its declared size, or of 224 by 224.
func survey(m *graph.Model) (*view, error) {
	given := map[string][]int64{}
	for _, in := range m.Inputs() {
		given[in.Name] = in.Sample()
	}
	s, err := shape.Inferred(m, given)
	if err != nil {
		return nil, err
	}
	return &view{Inferer: s, maker: makers(s.Nodes)}, nil
}

// made is the operator of ONNX's own that made a tensor, "" for another or none.
func (v *view) made(tensor string) string {
	if n := v.maker[tensor]; n != nil {
		return v.Model.Op(n).Standard()
	}
	return ""
}

func makers(nodes []*onnxpb.NodeProto) map[string]*onnxpb.NodeProto {
	maker := map[string]*onnxpb.NodeProto{}
	for _, n := range nodes {
		for _, out := range n.Output {
			if out != "" { // left out
				maker[out] = n
			}
		}
	}
	return maker
}

// pooling is the end of a feature map: the map, [N, C, H, W], and the nodes
// that pool it (a head may take its maximum and its mean).
type pooling struct {
	tensor string
	nodes  []*onnxpb.NodeProto
}

// poolings lists the poolings in the graph, the last one first.
func (v *Flow) poolings() []pooling {
	var all []pooling
	for _, n := range slices.Backward(v.Nodes) {
		if len(n.Input) == 0 || len(n.Output) == 0 {
			continue
		}
		t := v.pooled(n)
		if v.maker[t] == nil { // none, or the model's input, before which nothing stands
			continue
		}
		if i := slices.IndexFunc(all, func(p pooling) bool { return p.tensor == t }); i >= 0 {
			all[i].nodes = append(all[i].nodes, n)
		} else {
			all = append(all, pooling{t, []*onnxpb.NodeProto{n}})
		}
	}
	return all
}

// pooled is the map [N, C, H, W] that node n pools or flattens away, or "".
func (v *Flow) pooled(n *onnxpb.NodeProto) string {
	x, name := v.In(n, 0), n.Input[0]
	switch v.Model.Op(n).Standard() {
	case "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool":
		if len(x) == 3 { // of tokens
			return ""
		}
		return name
	case "AveragePool", "MaxPool", "LpPool":
		if out := v.Dims[n.Output[0]]; len(out) == 4 && isMap(x) && out[2] == 1 && out[3] == 1 {
			return name
		}
	case "ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2":
		return v.reduced(n)
	case "Flatten", "Reshape":
		out := v.Dims[n.Output[0]]
		if isMap(x) && len(out) == 2 && out[0] == x[0] {
			return name
		}
	}
	return ""
}

// isMap reports whether x is the shape of a map of more than one pixel.
func isMap(x []int64) bool {
	return len(x) == 4 && x[1] != 0 && (x[2] > 1 || x[3] > 1)
}

// reduced is the map [N, C, H, W] that Reduce node n pools, in one of the forms that exporters write:
//
//	axes 2 and 3 of the map
//	axes 1 and 2 of its transpose [N, H, W, C]
//	axes 1 and 2 of a map that is [N, H, W, C] itself, as layers before it tell
//	axis 2 of the map flattened to [N, C, H*W]
//	axis 2 of what another Reduce node left of it, after axis 3
func (v *Flow) reduced(n *onnxpb.NodeProto) string {
	x, source := v.In(n, 0), n.Input[0]
	rank := len(x)
	if x == nil {
		rank = 4 // an unknown shape: believe the axes
	}
	axes, known := v.ReduceAxes(n, rank)
	over := func(list ...int) bool { return known && slices.Equal(axes, list) }
	switch {
	case rank == 4 && over(2, 3):
		return source
	case rank == 4 && over(1, 2):
		if from := v.transposed(source); from != "" || v.channelAxis(source) != 3 {
			return from
		}
		return source
	case rank == 3 && over(2):
		return cmp.Or(v.flattened(source), v.halfReduced(source))
	case rank == 4 && over(2): // the other node kept axis 3, of one element
		return v.halfReduced(source)
	}
	return ""
}

// transposed is the map [N, C, H, W] of which tensor is the transpose [N, H, W, C], or "".
func (v *view) transposed(tensor string) string {
	if v.made(tensor) != "Transpose" || !slices.Equal(graph.FindInts(v.maker[tensor], "perm"), []int64{0, 2, 3, 1}) {
		return ""
	}
	return graph.FirstInput(v.maker[tensor])
}

// flattened is the map [N, C, H, W] that tensor [N, C, H*W] is a Reshape of, or "".
func (v *view) flattened(tensor string) string {
	if v.made(tensor) != "Reshape" {
		return ""
	}
	from, to := v.In(v.maker[tensor], 0), v.Dims[tensor]
	if !isMap(from) || from[1] != to[1] || from[2]*from[3] != to[2] {
		return ""
	}
	return graph.FirstInput(v.maker[tensor])
}

// halfReduced is the map [N, C, H, W] of which tensor is what a Reduce node over the last axis left, or "".
func (v *view) halfReduced(tensor string) string {
	if !strings.HasPrefix(v.made(tensor), "Reduce") {
		return ""
	}
	n := v.maker[tensor]
	rank := len(v.In(n, 0))
	if axes, _ := v.ReduceAxes(n, rank); rank != 4 || !slices.Equal(axes, []int{3}) {
		return ""
	}
	return graph.FirstInput(n)
}

// separates reports whether every path from an input to the first output that
// needs one of nodes goes through one of them.
func (v *view) separates(nodes []*onnxpb.NodeProto) bool {
	for _, out := range v.Model.Graph.Output {
		needed, input := v.behind(out.GetName(), nodes)
		if needed {
			return !input
		}
	}
	return false
}

// behind walks back from a tensor, not past the nodes of stop: does it meet
// one of them, does it meet an input of the graph?
func (v *view) behind(tensor string, stop []*onnxpb.NodeProto) (meetsStop, meetsInput bool) {
	inputs := map[string]bool{}
	for _, name := range v.Model.InputNames() {
		inputs[name] = true
	}
	seen := map[string]bool{}
	todo := []string{tensor}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[name] {
			continue
		}
		seen[name] = true
		switch n := v.maker[name]; {
		case n == nil:
			meetsInput = meetsInput || inputs[name]
		case slices.Contains(stop, n):
			meetsStop = true
		case v.made(name) == "Shape" || v.made(name) == "Size": // a shape is no data
		default:
			todo = append(todo, graph.Reads(n)...)
		}
	}
	return meetsStop, meetsInput
}

// CutAt returns the part of the model that makes tensor, its only output.
// Nodes, initializers, inputs and shape hints that it does not need are left
// out, weights are no longer listed as inputs too; metadata stays. An unknown tensor is an error of kind failure.Data.
func CutAt(m *graph.Model, tensor string) (*graph.Model, error) {
	flat, err := m.Inline()
	if err != nil {
		return nil, err
	}
	v, err := survey(flat)
	if err != nil {
		return nil, err
	}
	if v.maker[tensor] == nil {
		return nil, m.Badf("no node makes tensor %q; %s", tensor, v.flow().advice())
	}
	out := &graph.Model{ModelProto: graph.Shallow(flat.ModelProto), Path: m.Path}
	out.Graph = pruned(flat.Graph, v.Nodes, []string{tensor})
	out.Graph.Output = []*onnxpb.ValueInfoProto{v.describe(tensor)}
	if out.GetIrVersion() < 4 { // the first in which an initializer need not be an input
		out.IrVersion = proto.Int64(4)
	}
	return out, nil
}

// pruned is g with what the tensors keep need and nothing else, and no output.
func pruned(g *onnxpb.GraphProto, sorted []*onnxpb.NodeProto, keep []string) *onnxpb.GraphProto {
	out := graph.Shallow(g)
	out.Output = nil
	needed := map[string]bool{}
	for _, name := range keep {
		needed[name] = true
	}
	out.Node = nil
	for _, n := range slices.Backward(sorted) {
		if !slices.ContainsFunc(n.Output, func(o string) bool { return needed[o] }) {
			continue
		}
		out.Node = append(out.Node, n)
		for _, name := range graph.Reads(n) {
			needed[name] = true
		}
	}
	slices.Reverse(out.Node)
	made := map[string]bool{}
	for _, n := range out.Node {
		for _, o := range n.Output {
			made[o] = true
		}
	}
	weight := map[string]bool{}
	for _, t := range g.Initializer {
		weight[t.GetName()] = true
	}
	out.Input = graph.Kept(g.Input, func(v *onnxpb.ValueInfoProto) bool {
		return needed[v.GetName()] &&
			!weight[v.GetName()]
	})
	out.Initializer = graph.Kept(g.Initializer, func(t *onnxpb.TensorProto) bool { return needed[t.GetName()] })
	out.SparseInitializer = graph.Kept(g.SparseInitializer,
		func(t *onnxpb.SparseTensorProto) bool { return needed[t.GetValues().GetName()] })
	out.ValueInfo = graph.Kept(g.ValueInfo, func(v *onnxpb.ValueInfoProto) bool {
		return made[v.GetName()] && !slices.Contains(keep, v.GetName())
	})
	out.QuantizationAnnotation = graph.Kept(g.QuantizationAnnotation,
		func(a *onnxpb.TensorAnnotation) bool { return needed[a.GetTensorName()] })
	return out
}

// describe states the type and shape of a tensor as far as they are known.
// Dimensions that only a sample image has are left open.
func (v *view) describe(tensor string) *onnxpb.ValueInfoProto {
	info := &onnxpb.ValueInfoProto{Name: proto.String(tensor), Type: &onnxpb.TypeProto{}}
	t := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(v.elem(tensor))}
	info.Type.Value = &onnxpb.TypeProto_TensorType{TensorType: t}
	open, err := shape.Shapes(v.Model, nil)
	dims, ok := open[tensor]
	if err != nil || !ok {
		return info
	}
	t.Shape = &onnxpb.TensorShapeProto{}
	for i, d := range dims {
		switch {
		case d >= 0:
			t.Shape.Dim = append(t.Shape.Dim, graph.DimValue(d))
		case i == 0:
			t.Shape.Dim = append(t.Shape.Dim, graph.DimParam(v.Model.BatchName()))
		default:
			t.Shape.Dim = append(t.Shape.Dim, &onnxpb.TensorShapeProto_Dimension{})
		}
	}
	return info
}

// elem is the element type of a tensor: as stated, or that of its maker's first
// input, which is right for all operators of images but those named here.
func (v *view) elem(tensor string) int32 {
	types := map[string]int32{}
	for _, list := range [][]*onnxpb.ValueInfoProto{v.Model.Graph.Input, v.Model.Graph.ValueInfo,
		v.Model.Graph.Output} {
		for _, i := range list {
			if e := i.GetType().GetTensorType().GetElemType(); e != 0 {
				types[i.GetName()] = e
			}
		}
	}
	for _, t := range v.Model.Graph.Initializer {
		types[t.GetName()] = t.GetDataType()
	}
	for _, n := range v.Nodes {
		for i, out := range n.Output {
			if _, ok := types[out]; !ok {
				types[out] = graph.OutputElem(n, v.Model.Op(n), i, types)
			}
		}
	}
	return types[tensor]
}
