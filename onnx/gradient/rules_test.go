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
	"finetune/onnx/gradient/tape"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/onednn"
	"finetune/onnx/shape"
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

// run runs a training graph and returns its outputs by name.
func run(t *testing.T, g *graph.Model, feeds map[string]*onnx.Tensor, names ...string) map[string][]float32 {
	t.Helper()
	data, err := g.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	in := slices.Sorted(maps.Keys(feeds))
	s, err := onnx.OpenBytes("training graph", data, in, names, onTrial(g))
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

// targets are what to lower to: standard operators, this machine's block, and package onednn where its library is.
func targets(t *testing.T) map[string]tape.Target {
	list := map[string]tape.Target{}
	for layout, block := range blocks(t) {
		list[layout] = tape.Target{Block: block}
	}
	if path, err := onnx.OneDNN(); err != nil {
		t.Fatal(err)
	} else if path != "" {
		list["oneDNN"] = tape.Target{Domain: onednn.Float32}
	} else {
		t.Log("oneDNN is not installed; its operators are not tested")
	}
	return list
}

// onTrial are the options of a session with g.
func onTrial(g *graph.Model) onnx.Options {
	own := slices.ContainsFunc(g.OpsetImport, func(o *onnxpb.OperatorSetIdProto) bool {
		return o.GetDomain() == onednn.Float32 || o.GetDomain() == onednn.BFloat16
	})
	return onnx.Options{Threads: 1, OneDNN: own}
}

// TestRules: each operator's gradient, of the sum of its output times seeded
// numbers, against PyTorch in float64, which passed central differences.
func TestRules(t *testing.T) {
	want := read(t, "gradient_rules.json")
	for layout, to := range targets(t) {
		for name, build := range cases {
			t.Run(layout+"/"+name, func(t *testing.T) {
				checkRule(t, name, build, want[name], to)
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
	for name, build := range arrangements {
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
	b.Output(b.Node("ReduceProd", "odd", []string{b.Node("Asin", "bell", []string{w})}, i("keepdims", 1)), graph.Float32,
		1)
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

// A step that only the run knows might be any.
func TestSliceWithUnknownSteps(t *testing.T) {
	b := graph.NewBuilder("steps", 17)
	x := b.Node("Slice", "part",
		[]string{b.Init("w", []int64{4}, []float32{1, 2, 3, 4}), b.Ints("", []int64{1}, []int64{0}),
			b.Ints("", []int64{1}, []int64{4}), b.Ints("", []int64{1}, []int64{0}), b.Input("step", graph.Int64, 1)})
	b.Output(b.Node("ReduceSum", "loss", []string{x}, i("keepdims", 1)), graph.Float32, 1)
	if _, err := gradient.Build(b.Model(), "loss", gradient.Options{Trainable: []string{"w"}}); err == nil ||
		!strings.Contains(err.Error(), "computed limits") {
		t.Error(err)
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

func checkRule(t *testing.T, name string, build func(m *maker) string, want reference, to tape.Target) {
	m := newMaker(name)
	y := build(m)
	// an output needs a shape to be weighed: take it from inference
	m.Output(y, graph.Float32)
	probe := m.Model()
	probe.Graph.Output = nil
	shapes, err := shape.Shapes(probe, nil)
	if err != nil {
		t.Fatal(err)
	}
	shape := shapes[y]
	r := m.Init("r", shape, seeded(name, "r", count(shape), -1, 1))
	loss := m.op("ReduceSum", m.op("Mul", y, r), i("keepdims", 0))
	one := m.Node("Reshape", "loss", []string{loss, m.ints(1)})
	m.Output(one, graph.Float32, 1)
	model := m.Model()
	g, err := gradient.Build(model, "loss", gradient.Options{Trainable: m.params, Block: to.Block, OneDNN: to.Domain,
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
		t.Errorf("%d gradients and %d statistics, PyTorch has %d and %d", len(g.Params), len(g.Stats), len(want.Grads),
			len(want.Stats))
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
		"cross-entropy": {gradient.WithCrossEntropy, []int64{4, 4}, []float32{.5, 1, 2, 1.5}, []int64{2, 0, 3, 2}},
		"binary cross-entropy": {gradient.WithBinaryCrossEntropy, []int64{2, 3}, []float32{.5, 1, 2},
			[]float32{1, 0, 1, 0, 0, 1}},
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
