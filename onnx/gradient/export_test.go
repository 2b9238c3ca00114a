package gradient

import (
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// BuildShapes is Build, with the shapes that it believes the graph's tensors to have; -1 is a dimension that only the
// run knows.
func BuildShapes(m *graph.Model, loss string, o Options) (*Graph, map[string][]int64, error) {
	b, err := newBuild(m, loss, o)
	if err != nil {
		return nil, nil, err
	}
	if err := b.forward(); err != nil {
		return nil, nil, err
	}
	if err := b.backward(); err != nil {
		return nil, nil, err
	}
	g, err := b.finish()
	return g, b.Shape, err
}

// Rules is the table.
func Rules() map[graph.Op]rule { return rules }

// ScalarRule is the rule of somebody who gives every input a derivative of shape [].
func ScalarRule(b *build, n *onnxpb.NodeProto) ([]string, error) { return one(b.Scalar(1)) }
