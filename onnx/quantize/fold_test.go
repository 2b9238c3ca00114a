package quantize

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/internal/onnxtest"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// norm adds a BatchNormalization of n channels whose variances are so small that epsilon shows.
func norm(b *graph.Builder, x string, n int64) string {
	inputs := []string{x}
	for _, p := range []struct {
		name   string
		lo, hi float64
	}{{"gamma", .001, .002}, {"beta", -.2, .2}, {"mean", -.2, .2}, {"var", 1e-6, 1e-5}} {
		inputs = append(inputs, b.Init(p.name, []int64{n}, draws(p.name, int(n), p.lo, p.hi)))
	}
	return b.Node("BatchNormalization", "norm", inputs)
}

// again adds a second BatchNormalization with the numbers of the first.
func again(b *graph.Builder, x string) string {
	return b.Node("BatchNormalization", "second", []string{x, "gamma", "beta", "mean", "var"})
}

// one is a network of one convolution of 3 channels, kernel 1, and what finish makes of it.
func one(inputs func(b *graph.Builder) []string, finish func(b *graph.Builder, conv string) string) *graph.Model {
	b := graph.NewBuilder("one", 17)
	image := b.Input("image", graph.Float32, "N", 3, 16, 16)
	weight := b.Init("w", []int64{3, 3, 1, 1}, draws("w", 9, -.5, .5))
	conv := b.Node("Conv", "conv", append([]string{image, weight}, inputs(b)...))
	b.Output(b.Node("Identity", "out", []string{finish(b, conv)}), graph.Float32, "N", 3, 16, 16)
	return b.Model()
}

func noBias(*graph.Builder) []string { return nil }

func TestFoldWhereItMay(t *testing.T) {
	onnxtest.Start(t)
	bias := func(b *graph.Builder) []string { return []string{b.Init("bias", []int64{3}, []float32{.5, -1, 2})} }
	computed := func(b *graph.Builder) []string {
		return []string{b.Node("Constant", "bias", nil, graph.Floats("value_floats", .5, -1, 2))}
	}
	normed := func(b *graph.Builder, conv string) string { return norm(b, conv, 3) }
	for name, tt := range map[string]struct {
		m    *graph.Model
		left int // BatchNormalization that stay
	}{
		"no bias":       {one(noBias, normed), 0},
		"bias":          {one(bias, normed), 0},
		"bias left out": {one(func(*graph.Builder) []string { return []string{""} }, normed), 0},
		"computed bias": {one(computed, normed), 1},
		"read twice": {one(bias,
			func(b *graph.Builder, c string) string { return b.Node("Add", "", []string{norm(b, c, 3), c}) }), 1},
		"behind a Relu": {one(bias,
			func(b *graph.Builder, c string) string { return norm(b, b.Node("Relu", "", []string{c}), 3) }), 1},
		"of one folded":   {one(bias, func(b *graph.Builder, c string) string { return again(b, norm(b, c, 3)) }), 0},
		"of another":      {one(bias, func(b *graph.Builder, _ string) string { return norm(b, "image", 3) }), 1},
		"computed scale":  {computing(1), 1},
		"computed offset": {computing(2), 1},
		"computed mean":   {computing(3), 1},
		"computed spread": {computing(4), 1},
		"leaves the model": {func() *graph.Model {
			m := one(bias, normed)
			m.Graph.Output = append(m.Graph.Output,
				&onnxpb.ValueInfoProto{Name: proto.String("conv"), Type: m.Graph.Output[0].Type})
			return m
		}(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			folded, err := Fold(tt.m)
			if err != nil {
				t.Fatal(err)
			}
			if n := operators(folded)["BatchNormalization"]; n != tt.left {
				t.Errorf("%d BatchNormalization are left, want %d", n, tt.left)
			}
			x := draws("x", 2*768, 0, 1)
			if d := worst(run(t, folded, x, 2), run(t, tt.m, x, 2)); d > 1e-5 { // float32 sums of 3 terms
				t.Errorf("differs by %g of the largest value", d)
			}
		})
	}
}

// computing is one convolution with BatchNormalization whose input i a node computes.
func computing(i int) *graph.Model {
	m := one(noBias, func(b *graph.Builder, conv string) string {
		b.Node("Constant", "computed", nil, graph.Floats("value_floats", .5, .25, .125))
		return norm(b, conv, 3)
	})
	m.Graph.Node[2].Input[i] = "computed"
	return m
}

// What ONNX Runtime would refuse is left to it or told, never a panic.
func TestFoldOfBrokenConvolutions(t *testing.T) {
	shape := func(name string, dims ...int64) func(*graph.Model) {
		return func(m *graph.Model) {
			for i, tensor := range m.Graph.Initializer {
				n := int64(1)
				for _, d := range dims {
					n *= d
				}
				if tensor.GetName() == name {
					m.Graph.Initializer[i] = graph.FloatTensor(name, dims, make([]float32, n))
				}
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(*graph.Model)
		told   bool
	}{
		"no weights":        {func(m *graph.Model) { m.Graph.Node[0].Input = m.Graph.Node[0].Input[:1] }, false},
		"weights of no dim": {shape("w"), false},
		"empty weights":     {shape("w", 0, 3, 1, 1), false},
		"bias":              {shape("bias", 2), true},
		"gamma":             {shape("gamma", 4), true},
		"beta":              {shape("beta", 2), true},
		"mean":              {shape("mean", 4), true},
		"variance":          {shape("var", 2), true},
		"from the batch": {func(m *graph.Model) {
			m.Graph.Node[1].Attribute = []graph.Attr{graph.Int("training_mode",
				1)}
		}, false},
		"more outputs": {func(m *graph.Model) { m.Graph.Node[1].Output = append(m.Graph.Node[1].Output, "a", "b") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := one(func(b *graph.Builder) []string { return []string{b.Init("bias", []int64{3}, []float32{1, 2, 3})} },
				func(b *graph.Builder, conv string) string { return norm(b, conv, 3) })
			tt.change(m)
			folded, err := Fold(m)
			if !tt.told {
				if err != nil || operators(folded)["BatchNormalization"] != 1 {
					t.Errorf("not left as it is: %v", err)
				}
			} else if failure.KindOf(err) != failure.DataKind ||
				!strings.Contains(err.Error(), `node "norm": its sizes do not fit the 3 channels`) {
				t.Errorf("%v", err)
			}
		})
	}
}

// What a model carries besides its nodes stays: names, versions, notes, functions; what nothing reads goes.
func TestRewritingKeepsTheRest(t *testing.T) {
	m := one(noBias, func(b *graph.Builder, conv string) string { return norm(b, conv, 3) })
	m.Path = "network.onnx"
	m.MetadataProps = []*onnxpb.StringStringEntryProto{{Key: proto.String("classes"), Value: proto.String("ants")}}
	m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("f"), Domain: proto.String("own")}}
	m.Graph.Initializer = append(m.Graph.Initializer, graph.FloatTensor("given", nil, []float32{1}),
		graph.FloatTensor("unread", nil, []float32{1}))
	m.Graph.Output = append(m.Graph.Output,
		&onnxpb.ValueInfoProto{Name: proto.String("given"), Type: m.Graph.Output[0].Type})
	got, err := Fold(m)
	if err != nil {
		t.Fatal(err)
	}
	inits := got.Initializers()
	if inits["given"] == nil || len(inits) != 3 {
		t.Errorf("initializers %v, want the weight, the bias and the output", inits)
	}
	if got.Path != m.Path || got.GetIrVersion() != m.GetIrVersion() || got.Opset() != 17 ||
		got.GetProducerName() != "finetune" ||
		got.Graph.GetName() != "one" || len(got.Functions) != 1 || len(got.MetadataProps) != 1 ||
		got.MetadataProps[0].GetValue() != "ants" {
		t.Errorf("%v", got)
	}
}
