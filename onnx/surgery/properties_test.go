package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/inspect"
	"finetune/onnx/shape"
	"finetune/onnx/surgery"
	"finetune/onnx/trainable"
)

// TestDeclaredShapes: they serve where no rule knows one, unless the caller overrides what they were declared for.
func TestDeclaredShapes(t *testing.T) {
	b := graph.NewBuilder("declared", 17)
	b.Node("org.example.Odd", "odd", []string{b.Input("x", graph.Float32, "N", 3, 8, 8)})
	b.Output(b.Node("Relu", "after", []string{"odd"}), graph.Float32)
	b.Output("odd", graph.Float32, "N", 5)
	m := b.Model()
	for _, c := range []struct {
		given map[string][]int64
		want  []int64
	}{
		{nil, []int64{-1, 5}},
		{map[string][]int64{"x": {2, 3, 8, 8}}, []int64{-1, 5}},
		{map[string][]int64{"x": {2, 3, 9, 8}}, nil},
		{map[string][]int64{"x": {2, 3, 8}}, nil},
	} {
		got, err := shape.Shapes(m, c.given)
		if err != nil || !slices.Equal(got["after"], c.want) {
			t.Errorf("given %v: %v, %v; want %v", c.given, got["after"], err, c.want)
		}
	}
}

// TestGroupsByStride: the second group opens where the stride reaches 16, whichever operators make it.
func TestGroupsByStride(t *testing.T) {
	stride := func(n int64) graph.Attr { return graph.Ints("strides", n, n) }
	shrink := map[string][]graph.Attr{
		"SpaceToDepth": {graph.Int("blocksize", 4)},
		"MaxPool":      {stride(4), graph.Ints("kernel_shape", 4, 4)},
		"AveragePool":  {stride(4), graph.Ints("kernel_shape", 4, 4)},
	}
	for op, attrs := range shrink {
		for first, groups := range map[int64]int{4: 2, 3: 1} { // 16 in all, and 12
			b := graph.NewBuilder("strides", 17)
			weight := func(name string) string { return b.Init(name, []int64{2, 1, 1, 1}, []float32{1, 2}) }
			x := b.Node("Conv", "a", []string{b.Input("image", graph.Float32, 1, 3, 64, 64), weight("wa")}, stride(first))
			x = b.Node("Conv", "b", []string{b.Node(op, "small", []string{x}, attrs...), weight("wb")})
			b.Output(x, graph.Float32)
			g, err := trainable.Groups(b.Model())
			if err != nil || len(g) != groups ||
				!slices.Equal(g[len(g)-1].Parameters[len(g[len(g)-1].Parameters)-1:], []string{"wb"}) {
				t.Errorf("%s after a stride of %d: %+v, %v; want %d groups", op, first, g, err, groups)
			}
		}
	}
}

// TestOneChannel: a map of one channel can be cut at, one of no known number cannot.
func TestOneChannel(t *testing.T) {
	b := graph.NewBuilder("single", 17)
	x := b.Node("Conv", "map",
		[]string{b.Input("image", graph.Float32, "N", 3, 8, 8), b.Init("w", []int64{1, 3, 1, 1}, []float32{1, 2, 3})})
	b.Output(b.Node("GlobalAveragePool", "mean", []string{x}), graph.Float32)
	m := b.Model()
	cut, channels, err := surgery.FindCut(m)
	if err != nil || cut != "map" || channels != 1 {
		t.Fatalf("cut at %q with %d channels, %v", cut, channels, err)
	}
	body, err := surgery.Features(m, cut)
	if err != nil || !slices.Equal(body.Outputs()[0].Shape, []int64{-1, 2}) {
		t.Errorf("features %v, %v; want [-1 2]", body, err)
	}
	b = graph.NewBuilder("unknown", 17)
	x = b.Node("org.example.Odd", "map", []string{b.Input("image", graph.Float32, "N", 3, 8, 8)})
	b.Output(b.Node("GlobalAveragePool", "mean", []string{x}), graph.Float32)
	if _, _, err := surgery.FindCut(b.Model()); err == nil || !strings.Contains(err.Error(), `input "map" is unknown`) {
		t.Errorf("channels that nobody knows: %v", err)
	}
}

// TestCutKeepsHintsOfWhatStays: shapes declared for tensors before the cut stay, those behind it go.
func TestCutKeepsHintsOfWhatStays(t *testing.T) {
	m := concatHead()
	for _, name := range []string{"map", "excited", "both"} {
		m.Graph.ValueInfo = append(m.Graph.ValueInfo, &onnxpb.ValueInfoProto{Name: proto.String(name)})
	}
	body, err := surgery.CutAt(m, "excited")
	if err != nil {
		t.Fatal(err)
	}
	if v := body.Graph.ValueInfo; len(v) != 1 || v[0].GetName() != "map" {
		t.Errorf("hints %v, want map alone", v)
	}
}

// TestProducerIsNamedWithItsVersion: without one there is no blank behind it.
func TestProducerIsNamedWithItsVersion(t *testing.T) {
	for version, want := range map[string]string{"": "maker", "2.1": "maker 2.1"} {
		m := concatHead()
		m.ProducerName, m.ProducerVersion = proto.String("maker"), &version
		if info, err := inspect.Describe(m); err != nil || info.Producer != want {
			t.Errorf("%q, %v; want %q", info.Producer, err, want)
		}
	}
}
