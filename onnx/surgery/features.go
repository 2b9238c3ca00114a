package surgery

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// FeaturesName is the output of the models that Features makes.
const FeaturesName = "features"

// Features returns the model from its image input to pooled activations, float32
// [N, Cut.Width], for a tensor cut as FindCut names it. At says what is pooled how:
//
//	map     [GlobalMaxPool(cut) ‖ GlobalAveragePool(cut)]
//	tokens  [first token ‖ mean of those behind the prefix], or without a prefix the mean
//	vector  as it is
//
// The batch is left open where the graph permits it, even if the model was exported for a
// fixed one; Inputs of the result says so. Weights kept in Constant nodes
// become initializers, so that they can be trained.
// Source of the order, max first: AdaptiveConcatPool2d of fast.ai 0.7; of tokens: Dinov2ForImageClassification.
func Features(m *graph.Model, cut string) (*graph.Model, error) {
	c, err := At(m, cut)
	if err != nil {
		return nil, err
	}
	return FeaturesOf(m, c)
}

// FeaturesOf is Features for a cut that is known, such as one whose prefix a description states.
func FeaturesOf(m *graph.Model, c Cut) (*graph.Model, error) {
	body, err := CutAt(m, c.Tensor)
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
	hoist(body)
	if image.Batch() >= 0 {
		body = openBatch(body, image, c.Tensor)
	}
	return pool(body, c, v.elem(c.Tensor))
}

// pool appends the pooling of a cut to a body whose one output it is.
func pool(m *graph.Model, c Cut, elem int32) (*graph.Model, error) {
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
		g, c.Tensor = graph.Renamed(g, rename), rename(c.Tensor)
	}
	p := &pooler{nodes: slices.Clone(g.Node), inits: slices.Clone(g.Initializer), fresh: fresh, opset: m.Opset()}
	x := c.Tensor
	if elem != graph.Float32 {
		x = p.add("Cast", fresh("features/float"), []string{x}, graph.Int("to", int64(graph.Float32)))
	}
	if err := p.pool(c, x); err != nil {
		return nil, m.Badf("%w", err)
	}
	g.Node, g.Initializer = p.nodes, p.inits
	var batch any = m.BatchName()
	if d := graph.Declared(g.Input[0]); len(d) > 0 && d[0] >= 0 {
		batch = d[0]
	}
	g.Output = []*onnxpb.ValueInfoProto{graph.ValueInfo(FeaturesName, graph.Float32, []any{batch, c.Width})}
	out := &graph.Model{ModelProto: graph.Shallow(m.ModelProto), Path: m.Path}
	out.Graph = g
	return out, nil
}

// pooler appends nodes to a graph.
type pooler struct {
	nodes []*onnxpb.NodeProto
	inits []*onnxpb.TensorProto
	fresh func(name string) string
	opset int64
}

func (p *pooler) add(op, output string, inputs []string, attrs ...graph.Attr) string {
	p.nodes = append(p.nodes, &onnxpb.NodeProto{
		OpType: proto.String(op), Name: proto.String(output),
		Input: inputs, Output: []string{output}, Attribute: attrs,
	})
	return output
}

func (p *pooler) ints(name string, shape []int64, v ...int64) string {
	name = p.fresh(name)
	p.inits = append(p.inits, graph.IntTensor(name, shape, v))
	return name
}

// pool makes the features of x, which is c's tensor in float32.
func (p *pooler) pool(c Cut, x string) error {
	flat := func(x string) { p.add("Flatten", FeaturesName, []string{x}, graph.Int("axis", 1)) }
	if c.Kind == Vector {
		flat(x)
		return nil
	}
	var first string
	if c.Kind == Tokens && c.Prefix > 0 {
		if p.opset < 10 {
			return fmt.Errorf("operator set %d: tokens are taken apart from 10 on; export the network with a newer one",
				p.opset)
		}
		axis := p.ints("features/axis", []int64{1}, 1)
		first = p.add("Slice", p.fresh("features/class"), []string{x, p.ints("features/zero", []int64{1}, 0),
			p.ints("features/one", []int64{1}, 1), axis})
		first = p.add("Flatten", p.fresh("features/first"), []string{first}, graph.Int("axis", 1))
		x = p.add("Slice", p.fresh("features/patches"), []string{x, p.ints("features/from", []int64{1}, c.Prefix),
			p.ints("features/to", []int64{1}, math.MaxInt64), axis})
	}
	if c.Layout == ChannelsLast { // the channels in front, as poolings have it
		x = p.add("Transpose", p.fresh("features/map"), []string{x}, graph.Ints("perm", 0, 3, 1, 2))
	}
	var largest string
	if c.Kind == Map {
		largest = p.add("GlobalMaxPool", p.fresh("features/max"), []string{x})
	}
	mean := p.mean(c, x)
	switch {
	case c.Kind == Map:
		flat(p.add("Concat", p.fresh("features/both"), []string{largest, mean}, graph.Int("axis", 1)))
	case first != "":
		p.add("Concat", FeaturesName, []string{first, mean}, graph.Int("axis", 1))
	default:
		flat(mean)
	}
	return nil
}

// mean is that of a map's pixels, or of tokens.
func (p *pooler) mean(c Cut, x string) string {
	name := p.fresh("features/mean")
	if c.Kind == Map {
		return p.add("GlobalAveragePool", name, []string{x})
	}
	axis := int64(1)
	if c.Layout == TokensLast {
		axis = 2
	}
	if p.opset < 18 {
		return p.add("ReduceMean", name, []string{x}, graph.Ints("axes", axis), graph.Int("keepdims", 0))
	}
	return p.add("ReduceMean", name, []string{x, p.ints("features/tokens", []int64{1}, axis)}, graph.Int("keepdims", 0))
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
