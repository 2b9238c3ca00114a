package gradient_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/gradient"
	"finetune/onnx/graph"
)

// summary is what testdata/reference/gradient_vectors.py keeps of a tensor.
type summary struct {
	Norm     float64
	Products []float64
}

type reference struct {
	Loss    float64
	Grads   map[string]summary
	Stats   map[string]summary
	Float32 float64 // distance of PyTorch's float32 gradients from its float64 ones
}

func read(t *testing.T, file string) map[string]reference {
	t.Helper()
	data, err := os.ReadFile("../../testdata/reference/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]reference
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// products are those of got with the vectors that the reference used.
func products(name string, got []float32, n int) []float64 {
	p := make([]float64, n)
	for k := range p {
		s := rng.New(13, rng.Text(name), uint64(k))
		for _, v := range got {
			p[k] += float64(v) * s.Uniform(-math.Sqrt(3), math.Sqrt(3))
		}
	}
	return p
}

// distance estimates |got - want|^2: the mean square of its products with
// random vectors of unit variance.
func distance(name string, got []float32, want summary) (squared float64) {
	for k, p := range products(name, got, len(want.Products)) {
		squared += (p - want.Products[k]) * (p - want.Products[k]) / float64(len(want.Products))
	}
	return squared
}

// seeded is the tensor of the same name in the script.
func seeded(name, tensor string, n int, lo, hi float64) []float32 {
	s := rng.New(11, rng.Text(name+"/"+tensor))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(s.Uniform(lo, hi))
	}
	return v
}

// maker builds the graph of a case.
type maker struct {
	*graph.Builder
	name   string
	params []string
}

func newMaker(name string) *maker {
	opset := int64(17)
	if name == "gelu" {
		opset = 20 // where it came
	}
	return &maker{Builder: graph.NewBuilder(name, opset), name: name}
}

func count(shape []int64) int {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return int(n)
}

// p is a trainable parameter of values from [-1, 1).
func (m *maker) p(name string, shape ...int64) string { return m.within(name, -1, 1, shape...) }

func (m *maker) within(name string, lo, hi float64, shape ...int64) string {
	m.params = append(m.params, name)
	return m.Init(name, shape, seeded(m.name, name, count(shape), lo, hi))
}

func (m *maker) op(kind string, in ...any) string {
	var inputs []string
	var attrs []graph.Attr
	for _, v := range in {
		switch v := v.(type) {
		case string:
			inputs = append(inputs, v)
		case graph.Attr:
			attrs = append(attrs, v)
		}
	}
	return m.Node(kind, "", inputs, attrs...)
}

func (m *maker) x() string { return m.p("x", 2, 16, 7, 6) }
func (m *maker) w() string { return m.p("w", 16, 16, 3, 3) }

func (m *maker) conv(x, w string, attrs ...graph.Attr) string {
	return m.Node("Conv", "", []string{x, w}, attrs...)
}

// norm is BatchNormalization; its parameters are made after those before it, as in the script.
func (m *maker) norm(x string) string {
	ga, be := m.within("ga", .5, 1.5, 16), m.p("be", 16)
	mean := m.Init("m", []int64{16}, seeded(m.name, "m", 16, -1, 1))
	variance := m.Init("v", []int64{16}, seeded(m.name, "v", 16, .5, 1.5))
	return m.op("BatchNormalization", x, ga, be, mean, variance)
}

func (m *maker) ints(v ...int64) string { return m.Ints("", []int64{int64(len(v))}, v) }

var (
	ints = graph.Ints
	i    = graph.Int
	p1   = ints("pads", 1, 1, 1, 1)
)

var cases = map[string]func(m *maker) string{
	"conv":                         func(m *maker) string { return m.op("Conv", m.x(), m.w(), m.p("b", 16), p1) },
	"conv strided, asymmetric":     func(m *maker) string { return m.conv(m.x(), m.w(), ints("strides", 2, 2), ints("pads", 0, 1, 1, 2)) },
	"conv strided, rows left over": func(m *maker) string { return m.conv(m.p("x", 2, 16, 8, 8), m.w(), ints("strides", 3, 2)) },
	"conv dilated":                 func(m *maker) string { return m.conv(m.x(), m.w(), ints("dilations", 2, 2), ints("pads", 2, 2, 1, 2)) },
	"conv strided and dilated": func(m *maker) string {
		return m.conv(m.p("x", 2, 16, 9, 9), m.w(), ints("strides", 2, 2), ints("dilations", 2, 2), ints("pads", 2, 1, 2, 2))
	},
	"conv grouped": func(m *maker) string { return m.conv(m.x(), m.p("w", 32, 8, 3, 3), i("group", 2), p1) },
	"conv grouped, strided": func(m *maker) string {
		return m.conv(m.x(), m.p("w", 32, 8, 3, 3), i("group", 2), p1, ints("strides", 2, 2))
	},
	"conv pointwise":          func(m *maker) string { return m.conv(m.x(), m.p("w", 32, 16, 1, 1)) },
	"conv pointwise, strided": func(m *maker) string { return m.conv(m.x(), m.p("w", 32, 16, 1, 1), ints("strides", 2, 2)) },
	"conv from 3 channels": func(m *maker) string {
		return m.conv(m.p("x", 2, 3, 13, 12), m.p("w", 16, 3, 7, 7), ints("strides", 2, 2), ints("pads", 3, 3, 3, 3))
	},
	"conv to 5 channels": func(m *maker) string { return m.conv(m.x(), m.p("w", 5, 16, 3, 3), p1) },
	"conv depthwise":     func(m *maker) string { return m.conv(m.x(), m.p("w", 16, 1, 3, 3), i("group", 16), p1) },
	"conv depthwise, strided, asymmetric": func(m *maker) string {
		return m.conv(m.p("x", 2, 16, 8, 8), m.p("w", 16, 1, 5, 5), i("group", 16), ints("strides", 2, 2), ints("pads", 1, 1, 2, 2))
	},
	"conv depthwise, odd": func(m *maker) string {
		return m.conv(m.p("x", 2, 16, 9, 7), m.p("w", 16, 1, 3, 3), i("group", 16), ints("strides", 2, 2), p1)
	},
	"conv depthwise, multiplied":   func(m *maker) string { return m.conv(m.x(), m.p("w", 32, 1, 3, 3), i("group", 16), p1) },
	"batch norm frozen after conv": func(m *maker) string { return m.norm(m.conv(m.x(), m.w(), p1)) },
	"batch norm frozen":            func(m *maker) string { return m.norm(m.x()) },
	"batch norm after conv":        func(m *maker) string { return m.norm(m.conv(m.x(), m.w(), p1)) },
	"batch norm":                   func(m *maker) string { return m.norm(m.x()) },
	"batch norm of rows":           func(m *maker) string { return m.norm(m.p("x", 5, 16)) },
	"residual":                     func(m *maker) string { x := m.x(); return m.op("Relu", m.op("Add", m.norm(m.conv(x, m.w(), p1)), x)) },
	"relu":                         func(m *maker) string { return m.op("Relu", m.x()) },
	"clip": func(m *maker) string {
		return m.op("Clip", m.within("x", -3, 9, 2, 16, 7, 6), m.Init("lo", nil, []float32{0}), m.Init("hi", nil, []float32{6}))
	},
	"leaky relu": func(m *maker) string { return m.op("LeakyRelu", m.x(), graph.Float("alpha", 0.1)) },
	"sigmoid":    func(m *maker) string { return m.op("Sigmoid", m.x()) },
	"tanh":       func(m *maker) string { return m.op("Tanh", m.x()) },
	"swish":      func(m *maker) string { x := m.x(); return m.op("Mul", x, m.op("Sigmoid", x)) },
	"hard sigmoid": func(m *maker) string {
		return m.op("HardSigmoid", m.within("x", -5, 5, 2, 16, 7, 6), graph.Float("alpha", 1.0/6))
	},
	"hard swish":    func(m *maker) string { return m.op("HardSwish", m.within("x", -5, 5, 2, 16, 7, 6)) },
	"softplus":      func(m *maker) string { return m.op("Softplus", m.x()) },
	"exp":           func(m *maker) string { return m.op("Exp", m.x()) },
	"log":           func(m *maker) string { return m.op("Log", m.within("x", .5, 2, 3, 4)) },
	"sqrt":          func(m *maker) string { return m.op("Sqrt", m.within("x", .5, 2, 3, 4)) },
	"gelu":          func(m *maker) string { return m.op("Gelu", m.x()) },
	"erf":           func(m *maker) string { return m.op("Erf", m.x()) },
	"abs":           func(m *maker) string { return m.op("Abs", m.x()) },
	"neg":           func(m *maker) string { return m.op("Neg", m.x()) },
	"add":           func(m *maker) string { return m.op("Add", m.x(), m.p("c", 16, 1, 1)) },
	"sub":           func(m *maker) string { return m.op("Sub", m.p("c", 6), m.x()) },
	"mul":           func(m *maker) string { return m.op("Mul", m.x(), m.p("c", 2, 16, 1, 1)) },
	"mul by itself": func(m *maker) string { x := m.x(); return m.op("Mul", x, x) },
	"div":           func(m *maker) string { return m.op("Div", m.x(), m.within("c", .5, 2, 1, 16, 1, 1)) },
	"max pool": func(m *maker) string {
		return m.op("MaxPool", m.x(), ints("kernel_shape", 3, 3), ints("strides", 2, 2), p1)
	},
	"max pool, ceil": func(m *maker) string {
		return m.op("MaxPool", m.x(), ints("kernel_shape", 2, 2), ints("strides", 2, 2), i("ceil_mode", 1))
	},
	"average pool": func(m *maker) string {
		return m.op("AveragePool", m.x(), ints("kernel_shape", 2, 2), ints("strides", 2, 2))
	},
	"average pool, padding counted": func(m *maker) string {
		return m.op("AveragePool", m.x(), ints("kernel_shape", 3, 3), ints("strides", 2, 2), p1, i("count_include_pad", 1))
	},
	"average pool, padding not counted": func(m *maker) string {
		return m.op("AveragePool", m.x(), ints("kernel_shape", 3, 3), ints("strides", 2, 2), p1)
	},
	"global average pool": func(m *maker) string { return m.op("GlobalAveragePool", m.x()) },
	"global max pool":     func(m *maker) string { return m.op("GlobalMaxPool", m.x()) },
	"concat":              func(m *maker) string { x := m.x(); return m.op("Concat", x, m.p("z", 2, 8, 7, 6), x, i("axis", 1)) },
	"flatten":             func(m *maker) string { return m.op("Flatten", m.x()) },
	"reshape, transpose": func(m *maker) string {
		return m.op("Transpose", m.op("Reshape", m.x(), m.ints(2, 8, 2, -1)), ints("perm", 2, 0, 3, 1))
	},
	"squeeze, unsqueeze": func(m *maker) string {
		return m.op("Unsqueeze", m.op("Squeeze", m.p("x", 3, 1, 4), m.ints(1)), m.ints(0))
	},
	"slice": func(m *maker) string {
		return m.op("Slice", m.x(), m.ints(3, 1), m.ints(math.MaxInt64, -2), m.ints(1, -2))
	},
	"slice, computed limits": func(m *maker) string { // as PyTorch exports x.chunk(2, 1)[0]
		x := m.x()
		half := m.op("Div", m.op("Gather", m.op("Shape", x), m.ints(1)), m.ints(2))
		return m.op("Slice", x, m.ints(0), half, m.ints(1))
	},
	"split": func(m *maker) string {
		m.NodeN("Split", []string{m.x(), m.ints(4, 7, 5)}, []string{"one", "two", "three"}, i("axis", 1))
		return m.op("Concat", "three", "one", i("axis", 1))
	},
	"layer norm": func(m *maker) string {
		x := m.p("x", 2, 5, 16)
		return m.op("LayerNormalization", x, m.within("ga", .5, 1.5, 16), m.p("be", 16), graph.Float("epsilon", 1e-6))
	},
	"pad":         func(m *maker) string { return m.op("Pad", m.x(), m.ints(0, 0, 1, 0, 0, 0, 2, 3)) },
	"reduce mean": func(m *maker) string { return m.op("ReduceMean", m.x(), ints("axes", 2, 3), i("keepdims", 0)) },
	"reduce sum":  func(m *maker) string { return m.op("ReduceSum", m.x(), m.ints(1)) },
	"gemm": func(m *maker) string {
		return m.op("Gemm", m.p("x", 3, 5), m.p("w", 4, 5), m.p("b", 4), i("transB", 1))
	},
	"gemm, transposed": func(m *maker) string {
		return m.op("Gemm", m.p("x", 5, 3), m.p("w", 5, 4), m.p("b", 3, 4), i("transA", 1), graph.Float("alpha", .5), graph.Float("beta", 2))
	},
	"matmul, bias":            func(m *maker) string { return m.op("Add", m.op("MatMul", m.p("x", 3, 5), m.p("w", 5, 4)), m.p("b", 4)) },
	"matmul, stacks":          func(m *maker) string { return m.op("MatMul", m.p("x", 2, 3, 5), m.p("w", 2, 5, 4)) },
	"matmul, stack by matrix": func(m *maker) string { return m.op("MatMul", m.p("x", 2, 3, 5), m.p("w", 5, 4)) },
	"softmax":                 func(m *maker) string { return m.op("Softmax", m.p("x", 3, 5), i("axis", 1)) },
	"log softmax":             func(m *maker) string { return m.op("LogSoftmax", m.p("x", 3, 5), i("axis", 1)) },
}

// run runs a training graph and returns its outputs by name.
func run(t *testing.T, g *graph.Model, feeds map[string]*onnx.Tensor, names ...string) map[string][]float32 {
	t.Helper()
	data, err := g.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	in := slices.Sorted(maps.Keys(feeds))
	s, err := onnx.OpenBytes("training graph", data, in, names, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	inputs, outputs := make([]*onnx.Tensor, len(in)), make([]*onnx.Tensor, len(names))
	for i, name := range in {
		inputs[i] = feeds[name]
	}
	if err := s.Run(inputs, outputs); err != nil {
		t.Fatal(err)
	}
	got := map[string][]float32{}
	for i, name := range names {
		got[name] = slices.Clone(outputs[i].Float32())
		outputs[i].Close()
	}
	return got
}

// feed makes tensors for those initializers of m that g takes as inputs.
func feed(t *testing.T, m *graph.Model, g *gradient.Graph) map[string]*onnx.Tensor {
	t.Helper()
	feeds, inits := map[string]*onnx.Tensor{}, m.Initializers()
	add := func(name string, shape []int64) {
		v, err := graph.FloatsOf(inits[name])
		if err != nil {
			t.Fatal(err)
		}
		if feeds[name], err = onnx.Float32(v, shape...); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range g.Params {
		add(p.Name, p.Shape)
	}
	for _, s := range g.Stats {
		add(s.Name, s.Shape)
	}
	return feeds
}

// blocks are the layouts to test: standard operators, and this machine's block.
func blocks(t *testing.T) map[string]int64 {
	onnxtest.Start(t)
	block, err := onnx.BlockSize()
	if err != nil {
		t.Fatal(err)
	}
	if block == 0 {
		t.Log("this machine's library has no blocked kernels; only standard operators are tested")
		return map[string]int64{"standard": 0}
	}
	return map[string]int64{"standard": 0, "blocked": block}
}

// TestRules: each operator's gradient, of the sum of its output times seeded
// numbers, against PyTorch in float64, which passed central differences.
func TestRules(t *testing.T) {
	want := read(t, "gradient_rules.json")
	for layout, block := range blocks(t) {
		for name, build := range cases {
			t.Run(layout+"/"+name, func(t *testing.T) {
				checkRule(t, name, build, want[name], block)
			})
		}
	}
}

// TestEveryRuleHasACase: the table and the cases name the same operators.
func TestEveryRuleHasACase(t *testing.T) {
	tested := map[graph.Op]bool{{Name: "Identity"}: true} // what every loss ends with
	see := func(m *maker, y string) {
		m.Output(y, graph.Float32)
		for _, n := range m.Model().Graph.Node {
			tested[graph.OpOf(n)] = true
		}
	}
	for name, build := range cases {
		m := newMaker(name)
		see(m, build(m))
	}
	m := newMaker(contribGelu)
	see(m, chains[contribGelu](m))
	for op := range gradient.Rules() {
		if !tested[op] {
			t.Errorf("rule of %s has no case", op)
		}
	}
}

func TestMissingRuleNamesTheNode(t *testing.T) {
	b := graph.NewBuilder("tiny", 17)
	w := b.Init("w", []int64{2}, []float32{1, 2})
	b.Output(b.Node("ReduceProd", "odd", []string{b.Node("Asin", "bell", []string{w})}, i("keepdims", 1)), graph.Float32, 1)
	m := b.Model()
	_, err := gradient.Build(m, "odd", gradient.Options{Trainable: []string{"w"}})
	const want = `operator ReduceProd (node "odd") has no gradient rule; freeze up to this node or add the rule`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	for _, names := range [][]string{nil, {"w", "w"}, {"v"}} {
		if _, err := gradient.Build(m, "odd", gradient.Options{Trainable: names}); err == nil {
			t.Errorf("trainable %v is accepted", names)
		}
	}
}

// A step that only the run knows might be any, and one other than 1 has no rule.
func TestSliceWithSteps(t *testing.T) {
	for _, known := range []bool{true, false} {
		b := graph.NewBuilder("steps", 17)
		step := b.Ints("two", []int64{1}, []int64{2})
		if !known {
			step = b.Input("step", graph.Int64, 1)
		}
		x := b.Node("Slice", "part", []string{b.Init("w", []int64{4}, []float32{1, 2, 3, 4}), b.Ints("", []int64{1}, []int64{0}), b.Ints("", []int64{1}, []int64{4}), b.Ints("", []int64{1}, []int64{0}), step})
		b.Output(b.Node("ReduceSum", "loss", []string{x}, i("keepdims", 1)), graph.Float32, 1)
		if _, err := gradient.Build(b.Model(), "loss", gradient.Options{Trainable: []string{"w"}}); err == nil || !strings.Contains(err.Error(), "a step other than 1") {
			t.Errorf("step known %v: %v", known, err)
		}
	}
}

// TestFrozenPrefixIsNotDifferentiated: an operator without a rule before the
// first trainable parameter is no error, and nothing is computed for it.
func TestFrozenPrefixIsNotDifferentiated(t *testing.T) {
	b := graph.NewBuilder("tiny", 17)
	x := b.Node("Softsign", "bell", []string{b.Input("x", graph.Float32, 2, 2)})
	y := b.Node("MatMul", "", []string{x, b.Init("w", []int64{2, 1}, []float32{1, 2})})
	b.Output(b.Node("ReduceSum", "loss", []string{y}, i("keepdims", 1)), graph.Float32, 1, 1)
	g, err := gradient.Build(b.Model(), "loss", gradient.Options{Trainable: []string{"w"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Model.Graph.Node {
		if slices.Contains(n.Output, "grad.x") || slices.Contains(n.Output, "grad.bell") {
			t.Errorf("node %s differentiates what is frozen", n.GetName())
		}
	}
}

func checkRule(t *testing.T, name string, build func(m *maker) string, want reference, block int64) {
	m := newMaker(name)
	y := build(m)
	// an output needs a shape to be weighed: take it from inference
	m.Output(y, graph.Float32)
	probe := m.Model()
	probe.Graph.Output = nil
	shapes, err := probe.Shapes(nil)
	if err != nil {
		t.Fatal(err)
	}
	shape := shapes[y]
	r := m.Init("r", shape, seeded(name, "r", count(shape), -1, 1))
	loss := m.op("ReduceSum", m.op("Mul", y, r), i("keepdims", 0))
	one := m.Node("Reshape", "loss", []string{loss, m.ints(1)})
	m.Output(one, graph.Float32, 1)
	model := m.Model()
	g, err := gradient.Build(model, "loss", gradient.Options{Trainable: m.params, Block: block,
		FrozenStats: func(string) bool { return strings.Contains(name, "frozen") }})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"loss"}
	for _, p := range g.Params {
		names = append(names, p.Grad)
	}
	for _, s := range g.Stats {
		names = append(names, s.Next)
	}
	got := run(t, g.Model, feed(t, model, g), names...)
	compare := func(output, name string, want summary) {
		// float32 sums of some hundred terms: relative error of 1e-6 of the norm, with room
		if d := math.Sqrt(distance(name, got[output], want)); !(d <= 1e-5*want.Norm+1e-7) {
			t.Errorf("%s is %.3g from PyTorch's float64, its norm is %.3g", output, d, want.Norm)
		}
	}
	if len(g.Params) != len(want.Grads) || len(g.Stats) != len(want.Stats) {
		t.Errorf("%d gradients and %d statistics, PyTorch has %d and %d", len(g.Params), len(g.Stats), len(want.Grads), len(want.Stats))
	}
	for p, v := range want.Grads {
		compare("grad."+p, p, v)
	}
	for s, v := range want.Stats {
		compare("next."+s, s, v)
	}
	if math.Abs(float64(got["loss"][0])-want.Loss) > 1e-4*(1+math.Abs(want.Loss)) {
		t.Errorf("loss %g, PyTorch %g", got["loss"][0], want.Loss)
	}
}

// TestLosses: cross-entropy with class weights and smoothing, binary cross-entropy.
func TestLosses(t *testing.T) {
	onnxtest.Start(t)
	for name, c := range map[string]struct {
		with    func(*graph.Model, string) (*graph.Model, error)
		shape   []int64
		weights []float32
		labels  any
	}{
		"cross-entropy":        {gradient.WithCrossEntropy, []int64{4, 4}, []float32{.5, 1, 2, 1.5}, []int64{2, 0, 3, 2}},
		"binary cross-entropy": {gradient.WithBinaryCrossEntropy, []int64{2, 3}, []float32{.5, 1, 2}, []float32{1, 0, 1, 0, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := graph.NewBuilder(name, 17)
			x := b.Init("x", c.shape, seeded(name, "x", count(c.shape), -3, 3))
			b.Output(b.Node("Identity", "logits", []string{x}), graph.Float32, c.shape[0], c.shape[1])
			m, err := c.with(b.Model(), "logits")
			if err != nil {
				t.Fatal(err)
			}
			g, err := gradient.Build(m, gradient.Objective, gradient.Options{Trainable: []string{"x"}})
			if err != nil {
				t.Fatal(err)
			}
			feeds := feed(t, m, g)
			put := func(name string, tensor *onnx.Tensor, err error) {
				if err != nil {
					t.Fatal(err)
				}
				feeds[name] = tensor
			}
			switch y := c.labels.(type) {
			case []int64:
				tensor, err := onnx.Int64(y, 4)
				put(gradient.Labels, tensor, err)
			case []float32:
				tensor, err := onnx.Float32(y, c.shape...)
				put(gradient.Labels, tensor, err)
			}
			w, err := onnx.Float32(c.weights, c.shape[1])
			put(gradient.ClassWeights, w, err)
			smoothing, err := onnx.Float32([]float32{0.1})
			put(gradient.LabelSmoothing, smoothing, err)
			scale, err := onnx.Float32([]float32{0.5})
			put(gradient.LossScale, scale, err)
			got := run(t, g.Model, feeds, gradient.Loss, "grad.x")
			want := read(t, "gradient_rules.json")[name]
			for i := range got["grad.x"] {
				got["grad.x"][i] *= 2 // undo the scale
			}
			if d := math.Sqrt(distance("x", got["grad.x"], want.Grads["x"])); d > 1e-6*want.Grads["x"].Norm {
				t.Errorf("gradient is %g from PyTorch's", d)
			}
			if math.Abs(float64(got[gradient.Loss][0])-want.Loss) > 1e-6 {
				t.Errorf("loss %g, PyTorch %g", got[gradient.Loss][0], want.Loss)
			}
		})
	}
}
