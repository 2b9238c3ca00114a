package quantize

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// whole gives every tensor that is asked for the same range.
func whole(m *graph.Model, r Range) map[string]Range {
	ranges := map[string]Range{}
	for _, name := range Activations(m) {
		ranges[name] = r
	}
	return ranges
}

// given are the ranges of draws("x", …, 0, 1).
func given(t *testing.T, m *graph.Model) map[string]Range {
	t.Helper()
	if len(Activations(m)) == 0 {
		return nil
	}
	images := Images{1, []int64{1, 3, 16, 16},
		func(_ int, x []float32) (bool, error) { copy(x, draws("x", len(x), 0, 1)); return true, nil }}
	ranges, err := Observe(m, images, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return ranges
}

// What is quantised follows from ONNX Runtime's rules for QDQ; all else stays, and the results with it.
func TestWhatBecomesInteger(t *testing.T) {
	onnxtest.Start(t)
	node := func(op string, inputs ...string) func(*graph.Builder, string) string {
		return func(b *graph.Builder, c string) string { return b.Node(op, "y", append([]string{c}, inputs...)) }
	}
	clip := func(limits func(b *graph.Builder) []string) func(*graph.Builder, string) string {
		return func(b *graph.Builder, c string) string { return b.Node("Clip", "y", append([]string{c}, limits(b)...)) }
	}
	scalar := func(b *graph.Builder, name string, v float32) string { return b.Init(name, nil, []float32{v}) }
	computed := func(b *graph.Builder) []string {
		return []string{b.Node("Constant", "bias", nil, graph.Floats("value_floats", .5, -1, 2))}
	}
	for name, tt := range map[string]struct {
		m    *graph.Model
		want []string
	}{
		"alone": {one(noBias, node("Identity")), []string{"image", "conv"}},
		"Relu":  {one(noBias, node("Relu")), []string{"image", "y"}},
		"Relu that others read too": {one(noBias, func(b *graph.Builder, c string) string {
			return b.Node("Sub", "", []string{b.Node("Relu", "", []string{c}), c})
		}), []string{"image", "conv"}},
		"Clip": {one(noBias,
			clip(func(b *graph.Builder) []string { return []string{scalar(b, "lo", 0), scalar(b, "hi", .25)} })),
			[]string{"image", "y"}},
		"Clip from below 0": {one(noBias,
			clip(func(b *graph.Builder) []string { return []string{scalar(b, "lo", -.125), scalar(b, "hi", .25)} })),
			[]string{"image", "conv"}},
		"Clip without a top": {one(noBias, clip(func(b *graph.Builder) []string { return []string{scalar(b, "lo", 0)} })),
			[]string{"image", "conv"}},
		"Clip without a floor": {one(noBias,
			clip(func(b *graph.Builder) []string { return []string{"", scalar(b, "hi", .25)} })), []string{"image", "conv"}},
		"Clip to a computed top": {one(noBias, clip(func(b *graph.Builder) []string {
			return []string{scalar(b, "lo", 0), b.Node("Constant", "", nil, graph.Float("value_float", .25))}
		})), []string{"image", "conv"}},
		"bias left out": {one(func(*graph.Builder) []string { return []string{""} }, node("Identity")),
			[]string{"image", "conv"}},
		"bias": {one(func(b *graph.Builder) []string {
			return []string{b.Init("b", []int64{3},
				[]float32{1, -1, 0})}
		}, node("Identity")), []string{"image", "conv"}},
		"computed bias": {one(computed, node("Identity")), nil},
		"pooling":       {one(computed, node("MaxPool")), []string{"conv", "y"}},
		"pooling, Relu": {one(computed,
			func(b *graph.Builder, c string) string {
				return b.Node("Relu", "y",
					[]string{pooled(b, c)})
			}), []string{"conv", "pool"}},
		"sum": {one(computed, func(b *graph.Builder, c string) string {
			return b.Node("Add", "y", []string{c, b.Node("Sigmoid", "z", []string{c})})
		}), []string{"conv", "z", "y"}},
		"sum with Relu": {one(computed, func(b *graph.Builder, c string) string {
			return b.Node("Relu", "y", []string{b.Node("Add", "", []string{b.Node("Sigmoid", "z", []string{c}), c})})
		}), []string{"conv", "z", "y"}},
		"sum with the input": {one(computed, node("Add", "image")), nil},
		"sum with a constant": {one(computed,
			func(b *graph.Builder, c string) string { return b.Node("Add", "y", []string{c, scalar(b, "k", .5)}) }), nil},
		"sum with fewer dimensions": {one(computed, func(b *graph.Builder, c string) string {
			return b.Node("Add", "y", []string{b.Node("Constant", "", nil, graph.Floats("value_floats", .5)), c})
		}), nil},
		"Conv that leaves the model":       {leaving(one(noBias, node("Relu")), "conv"), []string{"image"}},
		"Relu that leaves the model":       {leaving(one(noBias, node("Relu")), "y"), []string{"image"}},
		"pooling of what leaves the model": {leaving(one(computed, node("MaxPool")), "conv"), []string{"y"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range tt.m.Graph.Node {
				if n.GetOpType() == "MaxPool" {
					n.Attribute = []graph.Attr{graph.Ints("kernel_shape", 3, 3), graph.Ints("pads", 1, 1, 1, 1)}
				}
			}
			if got := Activations(tt.m); !slices.Equal(got, tt.want) {
				t.Errorf("observes %v, want %v", got, tt.want)
			}
			small, err := Int8(tt.m, given(t, tt.m))
			if err != nil {
				t.Fatal(err)
			}
			if n := operators(small)["QuantizeLinear"]; n != len(tt.want) {
				t.Errorf("%d QuantizeLinear, want %d", n, len(tt.want))
			}
			x := draws("x", 768, 0, 1)
			if d := worst(run(t, small, x, 1), run(t, tt.m, x, 1)); !(d <= .03) || d == 0 && tt.want != nil {
				t.Errorf("differs by %g of the largest value", d)
			}
		})
	}
}

func pooled(b *graph.Builder, x string) string { return b.Node("MaxPool", "pool", []string{x}) }

// leaving gives the model another output, before or behind which nothing is fused.
func leaving(m *graph.Model, name string) *graph.Model {
	m.Graph.Output = append(m.Graph.Output, &onnxpb.ValueInfoProto{Name: proto.String(name), Type: m.Graph.Output[0].Type})
	return m
}

// Damaged and other nodes of the same names are left alone, and none panics.
func TestWhatOnlyLooksLikeIt(t *testing.T) {
	for name, change := range map[string]func(m *graph.Model){
		"no weights": func(m *graph.Model) { m.Graph.Node[0].Input = m.Graph.Node[0].Input[:1] },
		"empty weights": func(m *graph.Model) {
			m.Graph.Initializer[0] = graph.FloatTensor("w", []int64{0, 3, 1, 1},
				nil)
		},
		"of one dimension": func(m *graph.Model) {
			m.Graph.Initializer[0] = graph.FloatTensor("w", []int64{1, 1, 1},
				[]float32{1})
		},
		"float16 weights": func(m *graph.Model) {
			m.Graph.Initializer[0] = bytesTensor("w", graph.Float16, []int64{1, 1, 1, 1}, []byte{0, 0})
		},
		"computed weights": func(m *graph.Model) { m.Graph.Node[0].Input[1] = "image" },
		"sum of one": func(m *graph.Model) {
			m.Graph.Node[0].OpType, m.Graph.Node[0].Input = proto.String("Add"), []string{"image"}
		},
		"pooling of none": func(m *graph.Model) {
			m.Graph.Node[0].OpType, m.Graph.Node[0].Input = proto.String("MaxPool"),
				nil
		},
		"pooling with places": func(m *graph.Model) {
			m.Graph.Node[0].OpType, m.Graph.Node[0].Input = proto.String("MaxPool"), []string{"image"}
			m.Graph.Node[0].Output = append(m.Graph.Node[0].Output, "places")
		},
	} {
		m := one(noBias, func(_ *graph.Builder, conv string) string { return conv })
		change(m)
		if got := Activations(m); len(got) != 0 {
			t.Errorf("%s: observes %v", name, got)
		}
		if small, err := Int8(m, nil); err != nil || len(small.Graph.Node) != len(m.Graph.Node) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// integers reads an int8 or int32 initializer.
func integers(t *onnxpb.TensorProto) []int {
	var out []int
	for raw := t.GetRawData(); len(raw) > 0; {
		if t.GetDataType() == graph.Int32 {
			out, raw = append(out, int(int32(binary.LittleEndian.Uint32(raw)))), raw[4:]
		} else {
			out, raw = append(out, int(int8(raw[0]))), raw[1:]
		}
	}
	return out
}

// Per channel the largest weight is 64 steps, 0 is 0, and the bias is counted in products of steps,
// as ONNX's QLinearConv says. A channel that is all 0 keeps its bias.
func TestWeightsAndBiases(t *testing.T) {
	onnxtest.Start(t)
	weights := []float32{1, -.5, .25, 0, 0, 0, -3.2, .05, .075}
	bias := []float32{.5, -5, 7}
	m := one(func(b *graph.Builder) []string { return []string{b.Init("bias", []int64{3}, bias)} },
		func(_ *graph.Builder, c string) string { return c })
	m.Graph.Initializer[0] = graph.FloatTensor("w", []int64{3, 3, 1, 1}, weights)
	ranges := map[string]Range{"image": {0, 1}, "conv": {-6, 11}}
	small, err := Int8(m, ranges)
	if err != nil {
		t.Fatal(err)
	}
	inits := small.Initializers()
	if got, want := integers(inits["conv/int8 weight/values"]),
		[]int{64, -32, 16, 0, 0, 0, -64, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("weights %v, want %v", got, want)
	}
	scales, _ := graph.FloatsOf(inits["conv/int8 weight/scale"])
	products, _ := graph.FloatsOf(inits["conv/int32 bias/scale"])
	for c, i := range integers(inits["conv/int32 bias/values"]) {
		if c != 1 && scales[c] != largest(weights[3*c:3*c+3])/64 {
			t.Errorf("channel %d: scale %g", c, scales[c])
		}
		if products[c] != scales[c]*(1./255) {
			t.Errorf("channel %d: the bias has scale %g, want %g", c, products[c], scales[c]*(1./255))
		}
		if back := float64(i) * float64(products[c]); math.Abs(back-float64(bias[c])) > max(float64(products[c])/2, 1e-6) {
			t.Errorf("channel %d: bias %g became %g", c, bias[c], back)
		}
	}
	x := draws("x", 768, 0, 1)
	if d := worst(run(t, small, x, 1), run(t, m, x, 1)); d > .02 { // steps of 1/255 and 1/64
		t.Errorf("differs by %g of the largest value", d)
	}
	m.Graph.Initializer[1] = graph.FloatTensor("bias", []int64{2}, bias[:2])
	if _, err := Int8(m, ranges); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), `"conv": a bias of 2 values for 3 channels`) {
		t.Errorf("a bias too short: %v", err)
	}
}

// The integers' range does the work of Relu and Clip, whatever was observed; a pooling has the step of what it pools.
func TestStepsBehindActivations(t *testing.T) {
	for name, tt := range map[string]struct {
		act  func(b *graph.Builder, c string) string
		r    Range
		want scale
	}{
		"none": {func(b *graph.Builder, c string) string {
			return b.Node("Identity", "y", []string{b.Node("MaxPool", "p", []string{c})})
		}, Range{-1, 3}, scale{4. / 255, 64}},
		"Relu": {func(b *graph.Builder, c string) string { return b.Node("Relu", "p", []string{c}) }, Range{-1, 3},
			scale{3. / 255, 0}},
		"Clip": {func(b *graph.Builder, c string) string {
			return b.Node("Clip", "p", []string{c, b.Init("lo", nil, []float32{0}), b.Init("hi", nil, []float32{6})})
		}, Range{-1, 9}, scale{6. / 255, 0}},
		"Clip that is never reached": {func(b *graph.Builder, c string) string {
			return b.Node("Clip", "p", []string{c, b.Init("lo", nil, []float32{0}), b.Init("hi", nil, []float32{6})})
		}, Range{-1, 3}, scale{3. / 255, 0}},
	} {
		m := one(noBias, tt.act)
		ranges := whole(m, tt.r)
		if name == "none" {
			ranges["p"] = Range{-50, 50}
		}
		small, err := Int8(m, ranges)
		if err != nil {
			t.Fatal(err)
		}
		scale, err := graph.FloatsOf(small.Initializers()["p/scale"])
		if err != nil {
			t.Fatal(err)
		}
		if zero := small.Initializers()["p/zero"].GetRawData()[0]; scale[0] != tt.want.factor || zero != tt.want.zero {
			t.Errorf("%s: %v %d, want %v", name, scale, zero, tt.want)
		}
	}
}

func TestOperatorSets(t *testing.T) {
	for opset, ok := range map[int64]bool{12: false, 13: true, 17: true} {
		b := graph.NewBuilder("old", opset)
		b.Output(b.Node("Relu", "out", []string{b.Input("image", graph.Float32, 1)}), graph.Float32, 1)
		if _, err := Int8(b.Model(), nil); (err == nil) != ok || !ok && failure.KindOf(err) != failure.UsageKind {
			t.Errorf("operator set %d: %v", opset, err)
		}
	}
}
