package surgery

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// FeaturesName is the output of the models that Features makes.
const FeaturesName = "features"

// Features returns the model from its image input to pooled activations:
//
//	features = [GlobalMaxPool(cut) ‖ GlobalAveragePool(cut)]   float32 [N, 2C]
//
// for a tensor cut of shape [N, C, H, W], as FindCut names it. The batch is
// left open where the graph permits it, even if the model was exported for a
// fixed one; Inputs of the result says so. Weights kept in Constant nodes
// become initializers, so that they can be trained.
// Source of the order, max first: AdaptiveConcatPool2d of fast.ai 0.7.
func Features(m *graph.Model, cut string) (*graph.Model, error) {
	body, err := CutAt(m, cut)
	if err != nil {
		return nil, err
	}
	image, err := body.Image()
	if err != nil {
		return nil, err
	}
	v, err := survey(body)
	if err != nil {
		return nil, err
	}
	shape := v.Dims[cut]
	if len(shape) != 4 || shape[1] < 1 {
		return nil, m.Badf("tensor %q has shape %v, need [N, C, H, W] with C known; name another with --cut", cut,
			shape)
	}
	hoist(body)
	if image.Batch() >= 0 {
		body = openBatch(body, image, cut)
	}
	return pool(body, cut, v.elem(cut), shape[1]), nil
}

// pool appends the two poolings to a body whose one output is cut.
func pool(m *graph.Model, cut string, elem int32, channels int64) *graph.Model {
	g := m.Graph
	used := graph.Names(g)
	fresh := func(name string) string {
		for used[name] {
			name += "_"
		}
		return name
	}
	if used[FeaturesName] { // torchvision calls a module that; the output needs the name
		other := fresh(FeaturesName)
		rename := func(s string) string {
			if s == FeaturesName {
				return other
			}
			return s
		}
		g, cut = graph.Renamed(g, rename), rename(cut)
	}
	nodes := slices.Clone(g.Node)
	add := func(op, output string, inputs []string, attrs ...graph.Attr) string {
		nodes = append(nodes, &onnxpb.NodeProto{
			OpType: proto.String(op), Name: proto.String(output),
			Input: inputs, Output: []string{output}, Attribute: attrs,
		})
		return output
	}
	x := cut
	if elem != graph.Float32 {
		x = add("Cast", fresh("features/float"), []string{x}, graph.Int("to", int64(graph.Float32)))
	}
	largest := add("GlobalMaxPool", fresh("features/max"), []string{x})
	mean := add("GlobalAveragePool", fresh("features/mean"), []string{x})
	both := add("Concat", fresh("features/both"), []string{largest, mean}, graph.Int("axis", 1))
	add("Flatten", FeaturesName, []string{both}, graph.Int("axis", 1))

	g.Node = nodes
	var batch any = m.BatchName()
	if d := graph.Declared(g.Input[0]); len(d) > 0 && d[0] >= 0 {
		batch = d[0]
	}
	g.Output = []*onnxpb.ValueInfoProto{graph.ValueInfo(FeaturesName, graph.Float32, []any{batch, 2 * channels})}
	out := &graph.Model{ModelProto: graph.Shallow(m.ModelProto), Path: m.Path}
	out.Graph = g
	return out
}

// hoist turns Constant nodes that hold float32 weights into initializers.
func hoist(m *graph.Model) {
	inits := slices.Clone(m.Graph.Initializer)
	m.Graph.Node = graph.Kept(m.Graph.Node, func(n *onnxpb.NodeProto) bool {
		t := graph.Find(n, "value").GetT()
		if m.Op(n).Standard() != "Constant" || t.GetDataType() != graph.Float32 || len(t.GetDims()) == 0 ||
			len(n.Output) != 1 {
			return true
		}
		t = graph.Shallow(t)
		t.Name = proto.String(n.Output[0])
		inits = append(inits, t)
		return false
	})
	m.Graph.Initializer = inits
}

// openBatch returns the body, without an output, with an open batch dimension "N", or m itself
// where inference shows that another batch would not come through to cut.
// Exporters write a fixed batch into the targets of Reshape nodes; there it
// becomes 0, "as in the input".
func openBatch(m *graph.Model, image graph.Input, cut string) *graph.Model {
	batch := image.Batch()
	s, _ := shape.Inferred(m, nil) // m is sorted: it was cut from such a model
	out := &graph.Model{ModelProto: graph.Shallow(m.ModelProto), Path: m.Path}
	g := graph.Shallow(m.Graph)
	out.Graph = g
	g.ValueInfo = nil                                                                       // speaks of the old batch
	g.Input = graph.Mapped(g.Input, func(v *onnxpb.ValueInfoProto) *onnxpb.ValueInfoProto { // the image, as Image says
		v = proto.Clone(v).(*onnxpb.ValueInfoProto)
		v.Type.GetTensorType().Shape.Dim[0] = graph.DimParam("N")
		return v
	})
	used := graph.Names(g)
	fromImage := map[string]bool{image.Name: true}
	inits := slices.Clone(g.Initializer)
	g.Node = graph.Mapped(g.Node, func(n *onnxpb.NodeProto) *onnxpb.NodeProto {
		if !slices.ContainsFunc(graph.Reads(n), func(in string) bool { return fromImage[in] }) {
			return n
		}
		for _, o := range n.Output {
			fromImage[o] = true
		}
		target := s.OpenTarget(n, batch)
		if target == nil || !fromImage[n.Input[0]] {
			return n
		}
		name := n.Output[0] + "/shape"
		for used[name] {
			name += "_"
		}
		inits = append(inits, graph.IntTensor(name, []int64{int64(len(target))}, target))
		n = graph.Shallow(n)
		n.Input = []string{n.Input[0], name}
		return n
	})
	g.Initializer = inits
	if !batchComesThrough(out, image, cut, batch+1) {
		return m
	}
	out.Graph = pruned(g, g.Node, []string{cut}) // the old targets may be unused now
	return out
}

// batchComesThrough reports whether a batch of n images makes n maps at cut,
// with every Reshape on the way keeping the number of values.
func batchComesThrough(m *graph.Model, image graph.Input, cut string, n int64) bool {
	sampled := image.Sample()
	sampled[0] = n
	s, err := shape.Inferred(m, map[string][]int64{image.Name: sampled})
	if err != nil || len(s.Dims[cut]) == 0 || s.Dims[cut][0] != n {
		return false
	}
	for _, node := range m.Graph.Node {
		if m.Op(node).Standard() != "Reshape" {
			continue
		}
		from, to := dims.Product(s.In(node, 0)), dims.Product(s.Dims[node.Output[0]])
		if from >= 0 && to >= 0 && from != to {
			return false
		}
	}
	return true
}
