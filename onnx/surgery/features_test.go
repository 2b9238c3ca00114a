package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
	"finetune/onnx/surgery"
)

// given is one image of 3 by 8 by 8 whose batch is fixed, and what is made of it.
func given(batch any, build func(b *graph.Builder, x string) string) *graph.Model {
	b := graph.NewBuilder("given", 17)
	b.Output(build(b, b.Input("image", graph.Float32, batch, 3, 8, 8)), graph.Float32)
	return b.Model()
}

// TestWhichBatchesOpen: a batch that the exporter fixed is opened where every Reshape on the way can be written for any
// batch.
func TestWhichBatchesOpen(t *testing.T) {
	reshape := func(b *graph.Builder, x, output string, allowZero int64, target ...int64) string {
		return b.Node("Reshape", output, []string{x, b.Ints("", []int64{int64(len(target))}, target)},
			graph.Int("allowzero", allowZero))
	}
	for _, c := range []struct {
		name  string
		batch any
		build func(b *graph.Builder, x string) string
		open  bool
	}{
		{"of one", 1, func(b *graph.Builder, x string) string { return b.Node("Relu", "map", []string{x}) }, true},
		{"of none, as old exporters write an open one", 0,
			func(b *graph.Builder, x string) string { return b.Node("Relu", "map", []string{x}) }, true},
		{"written into views", 2, func(b *graph.Builder, x string) string {
			return reshape(b, reshape(b, x, "", 0, 2, 3, -1), "map", 0, 2, 3, 8, 8)
		}, true},
		{"written into views that mean 0", 2, func(b *graph.Builder, x string) string {
			return reshape(b, reshape(b, x, "", 1, 2, 3, 64), "map", 1, 2, 3, 8, 8)
		}, true},
		{"written into a view that means 0 and infers", 2, func(b *graph.Builder, x string) string {
			return reshape(b, reshape(b, x, "", 1, 2, 3, -1), "map", 0, 2, 3, 8, 8)
		}, false},
		{"left to the view", 2, func(b *graph.Builder, x string) string { return reshape(b, x, "map", 0, -1, 3, 8, 8) },
			true},
		{"mixed with channels", 2, func(b *graph.Builder, x string) string {
			return reshape(b, reshape(b, x, "", 0, 6, 8, 8), "map", 0, 2, 3, 8, 8)
		}, false},
		{"behind what nobody knows", 1, func(b *graph.Builder, x string) string {
			return reshape(b, b.Node("org.example.Odd", "odd", []string{x}), "map", 0, 1, 3, 8, 8)
		}, false},
		{"in a constant that is added", 2, func(b *graph.Builder, x string) string {
			return b.Node("Add", "map", []string{x, b.Init("places", []int64{2, 3, 8, 8}, make([]float32, 384))})
		}, false},
		{"widened by what is for one image", 1, func(b *graph.Builder, x string) string {
			return b.Node("Expand", "map", []string{x, b.Ints("", []int64{4}, []int64{1, 3, 8, 8})})
		}, true},
		{"of which two are looked at", 2, func(b *graph.Builder, x string) string {
			return b.Node("Slice", "map",
				[]string{x, b.Ints("", []int64{1}, []int64{0}), b.Ints("", []int64{1}, []int64{2}),
					b.Ints("", []int64{1}, []int64{0})})
		}, false},
		{"in a weight alone", 1, func(b *graph.Builder, x string) string {
			w := reshape(b, b.Init("flat", []int64{1, 3}, make([]float32, 3)), "w", 0, 1, 3, 1, 1)
			return b.Node("Conv", "map", []string{x, w})
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := given(c.batch, c.build)
			body, err := surgery.Features(m, "map")
			if err != nil {
				t.Fatal(err)
			}
			if err := body.Check(); err != nil {
				t.Fatal(err)
			}
			in, out := body.Inputs()[0].Shape[0], body.Outputs()[0].Shape
			if fixed := int64(c.batch.(int)); !c.open && (in != fixed || out[0] != fixed) ||
				c.open && (in != -1 || out[0] != -1) {
				t.Errorf("batch of %d in, shape %v out; want it open: %v", in, out, c.open)
			}
			if !c.open {
				return
			}
			for _, n := range []int64{1, 2, 5} { // a batch of any size comes through
				shapes, err := shape.Shapes(body, map[string][]int64{"image": {n, 3, 8, 8}})
				if err != nil || !slices.Equal(shapes["map"], append([]int64{n}, shapes["map"][1:]...)) ||
					!slices.Equal(shapes[surgery.FeaturesName], []int64{n, out[1]}) {
					t.Errorf("batch of %d: map %v, features %v, %v", n, shapes["map"], shapes[surgery.FeaturesName], err)
				}
			}
			for _, w := range body.Graph.Initializer { // no target for the old batch is left behind
				read := slices.ContainsFunc(body.Graph.Node,
					func(n *onnxpb.NodeProto) bool { return slices.Contains(n.Input, w.GetName()) })
				if !read {
					t.Errorf("initializer %q is read by nothing", w.GetName())
				}
			}
		})
	}
}

// TestOpenedBatchesMeetNoName: the targets that are added take free names, hints of the old batch go.
func TestOpenedBatchesMeetNoName(t *testing.T) {
	m := given(1, func(b *graph.Builder, x string) string {
		target := b.Ints("map/shape", []int64{4}, []int64{1, 3, 8, 8})
		x = b.Node("Reshape", "rows", []string{b.Node("Relu", "map/shape_", []string{x}), target})
		return b.Node("Reshape", "map", []string{x, target})
	})
	m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{proto.Clone(m.Graph.Input[0]).(*onnxpb.ValueInfoProto)}
	m.Graph.ValueInfo[0].Name = proto.String("rows")
	body, err := surgery.Features(m, "map")
	if err != nil || body.Check() != nil || len(body.Graph.Initializer) != 2 || len(body.Graph.ValueInfo) != 0 ||
		body.Inputs()[0].Batch() != -1 {
		t.Errorf("%v, %v", body, err)
	}
}

// TestHintsThatFixABatch: a map whose shape is only declared may be of the declared batch alone.
func TestHintsThatFixABatch(t *testing.T) {
	b := graph.NewBuilder("declared", 17)
	b.Output(b.Node("org.example.Odd", "map", []string{b.Input("image", graph.Float32, 1, 3, 8, 8)}), graph.Float32, 1, 4,
		8, 8)
	body, err := surgery.Features(b.Model(), "map")
	if err != nil || body.Inputs()[0].Batch() != 1 || !slices.Equal(body.Outputs()[0].Shape, []int64{1, 8}) {
		t.Errorf("%v, %v", body, err)
	}
}

// TestFeaturesOfOpenBatches: an open batch keeps its name, views keep their targets, and float maps need no Cast.
func TestFeaturesOfOpenBatches(t *testing.T) {
	m := given("images", func(b *graph.Builder, x string) string {
		return b.Node("Reshape", "map", []string{x, b.Ints("target", []int64{4}, []int64{-1, 3, 4, 16})})
	})
	body, err := surgery.Features(m, "map")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*onnxpb.ValueInfoProto{body.Graph.Input[0], body.Graph.Output[0]} {
		if name := v.GetType().GetTensorType().GetShape().Dim[0].GetDimParam(); name != "images" {
			t.Errorf("the batch of %s is called %q", v.GetName(), name)
		}
	}
	var kinds []string
	for _, n := range body.Graph.Node {
		kinds = append(kinds, n.GetOpType())
	}
	if got := strings.Join(kinds, " "); got != "Reshape GlobalMaxPool GlobalAveragePool Concat Flatten" ||
		!slices.Equal(body.Graph.Node[0].Input, []string{"image", "target"}) {
		t.Errorf("nodes %s, the first reads %v", got, body.Graph.Node[0].Input)
	}
}

// TestFeaturesMeetNoName: a model whose tensors have the names that Features takes keeps them apart.
func TestFeaturesMeetNoName(t *testing.T) {
	for _, cut := range []string{"map", surgery.FeaturesName, "features_", "features/max"} {
		m := given("N", func(b *graph.Builder, x string) string {
			for _, name := range []string{surgery.FeaturesName, "features_", "features/max", "features/mean", "features/both",
				"map"} {
				x = b.Node("Relu", name, []string{x})
			}
			return x
		})
		body, err := surgery.Features(m, cut)
		if err != nil {
			t.Fatal(err)
		}
		if err := body.Check(); err != nil {
			t.Errorf("cut at %s: %v", cut, err)
		}
		shapes, err := shape.Shapes(body, map[string][]int64{"image": {2, 3, 8, 8}})
		if err != nil || !slices.Equal(shapes[surgery.FeaturesName], []int64{2, 6}) || len(body.Outputs()) != 1 ||
			body.Outputs()[0].Name != surgery.FeaturesName {
			t.Errorf("cut at %s: features %v, %v", cut, shapes[surgery.FeaturesName], err)
		}
	}
}

// TestFeaturesNeedOneImage: and a map with a known number of channels.
func TestFeaturesNeedOneImage(t *testing.T) {
	build := func(shapes ...[]any) *graph.Model {
		b := graph.NewBuilder("inputs", 17)
		var in []string
		for _, s := range shapes {
			in = append(in, b.Input("", graph.Float32, s...))
		}
		b.Output(b.Node("Sum", "map", in), graph.Float32)
		return b.Model()
	}
	image, row := []any{"N", 3, 8, 8}, []any{8}
	for _, c := range []struct {
		shapes [][]any
		want   string
	}{{[][]any{image, image}, "a body takes one"}, {[][]any{image, row}, "a body takes one"}, {[][]any{row},
		"neither a map"}, {[][]any{{"N", 0, 8, 8}}, "unknown number of channels"}} {
		if _, err := surgery.Features(build(c.shapes...), "map"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("inputs %v: %v", c.shapes, err)
		}
	}
	b := graph.NewBuilder("unstated", 17)
	b.Input("image", graph.Float32, "N", 3, 8, 8)
	b.Output(b.Node("org.example.Odd", "map", []string{"image"}), graph.Float32, "N", "C", 4, 4)
	m := b.Model()
	if _, err := surgery.Features(m, "map"); err == nil || !strings.Contains(err.Error(), "unknown number of channels") {
		t.Errorf("channels that nobody states: %v", err)
	}
	one := &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 1}
	m.Graph.Output[0].Type.GetTensorType().Shape.Dim[1] = &onnxpb.TensorShapeProto_Dimension{Value: one}
	m.Graph.Input[0].Type.GetTensorType().Shape = nil
	if body, err := surgery.Features(m, "map"); err != nil || !slices.Equal(body.Outputs()[0].Shape, []int64{-1, 2}) {
		t.Errorf("of an input of unstated shape: %v", err)
	}
	if in, err := m.Image(); err != nil || in.Name != "image" || in.Batch() != -1 {
		t.Errorf("an input of unstated shape: %+v, %v", in, err)
	}
}

// TestWhichConstantsBecomeWeights: float32 tensors of ONNX's own Constant; single numbers and integers stay what they
// are.
func TestWhichConstantsBecomeWeights(t *testing.T) {
	m := given("N", func(b *graph.Builder, x string) string {
		for name, w := range map[string]*onnxpb.TensorProto{
			"weight":   graph.FloatTensor("", []int64{1, 1, 1, 2}, []float32{1, 2}),
			"scalar":   graph.FloatTensor("", nil, []float32{1}),
			"integers": graph.IntTensor("", []int64{1}, []int64{1}),
		} {
			b.Node("Constant", name, nil, graph.Tensor("value", w))
		}
		b.Node("org.example.Constant", "other", nil,
			graph.Tensor("value", graph.FloatTensor("", []int64{2}, []float32{1, 2})))
		return b.Node("org.example.Odd", "map",
			[]string{b.Node("Relu", "", []string{x}), "weight", "scalar", "integers", "other"})
	})
	// of the image's shape
	m.Graph.Output = []*onnxpb.ValueInfoProto{proto.Clone(m.Graph.Input[0]).(*onnxpb.ValueInfoProto)}
	m.Graph.Output[0].Name = proto.String("map")
	body, err := surgery.Features(m, "map")
	if err != nil {
		t.Fatal(err)
	}
	if all := body.Initializers(); len(all) != 1 || all["weight"] == nil || body.Check() != nil {
		t.Errorf("initializers %v", all)
	}
}
