package bodies

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// MapName is the output of MapModel.
const MapName = "features/places"

// MapModel is FeatureModel up to what the mean is taken of: float32 [N, Channels, H, W] of a map,
// [N, Channels, T] of the tokens of patches, row by row. nil without an error: features that are a vector stand at
// no places.
func MapModel(b Body) (*graph.Model, error) {
	if b.Spec.Kind == VectorFeatures {
		return nil, nil
	}
	m, cut, err := b.features()
	if err != nil {
		return nil, err
	}
	nodes := m.Graph.Node
	mean := len(nodes) - 1 // features pools last of all
	for ; mean >= 0; mean-- {
		if op := m.Op(nodes[mean]).Standard(); op == "GlobalAveragePool" || op == "ReduceMean" {
			break
		}
	}
	if mean < 0 {
		return nil, m.Badf("takes no mean at its cut %q", cut.Tensor)
	}
	places := graph.FirstInput(nodes[mean])
	if m, err = surgery.CutAt(m, places); err != nil {
		return nil, err
	}
	last := &onnxpb.NodeProto{OpType: proto.String("Identity"), Input: []string{places}, Output: []string{MapName}}
	shape := []any{m.BatchName(), b.Spec.Channels, "rows", "columns"}
	if cut.Kind == surgery.Tokens {
		shape = []any{m.BatchName(), b.Spec.Channels, "patches"}
		if cut.Layout == surgery.TokensFirst {
			last.OpType, last.Attribute = proto.String("Transpose"), []graph.Attr{graph.Ints("perm", 0, 2, 1)}
		}
	}
	if d := graph.Declared(m.Graph.Input[0]); len(d) > 0 && d[0] >= 0 {
		shape[0] = d[0]
	}
	g := graph.Shallow(m.Graph)
	g.Node = append(slices.Clone(g.Node), last)
	g.Output = []*onnxpb.ValueInfoProto{graph.ValueInfo(MapName, graph.Float32, shape)}
	m.Graph = g
	return m, nil
}
