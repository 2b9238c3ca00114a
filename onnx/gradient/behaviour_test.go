package gradient_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/internal/onnxtest"
	"finetune/onnx/gradient"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// TestDropout: a mask is an input where a trained tensor is dropped; elsewhere, and at rate 0, nothing is.
func TestDropout(t *testing.T) {
	onnxtest.Start(t)
	trained := func(m *maker) string { return m.op("Mul", m.batch("rows", 4), m.p("s", 4)) }
	constant := func(m *maker) string {
		return m.Node("Constant", "", nil, graph.Tensor("value", graph.FloatTensor("", nil, []float32{.75})))
	}
	for name, c := range map[string]struct {
		build func(m *maker) string
		rates []float32
	}{
		"a quarter":      {func(m *maker) string { return m.op("Dropout", trained(m), m.floats(.25)) }, []float32{.25}},
		"half, unsaid":   {func(m *maker) string { return m.op("Dropout", trained(m)) }, []float32{.5}},
		"half, left out": {func(m *maker) string { return m.op("Dropout", trained(m), "", "") }, []float32{.5}},
		"by a Constant":  {func(m *maker) string { return m.op("Dropout", trained(m), constant(m)) }, []float32{.75}},
		"computed": {func(m *maker) string { // which nothing is known of
			return m.op("Dropout", trained(m), m.op("Mul", m.floats(.5), m.floats(.5)))
		}, []float32{.5}},
		"none": {func(m *maker) string { return m.op("Dropout", trained(m), m.floats(0)) }, nil},
		"before what is trained": {func(m *maker) string {
			return m.op("Mul", m.op("Dropout", m.batch("rows", 4), m.floats(.25)), m.p("s", 4))
		}, nil},
		"two": {func(m *maker) string {
			return m.op("Dropout", m.op("Exp", m.op("Dropout", trained(m), m.floats(.25))), m.floats(.125))
		}, []float32{.25, .125}},
	} {
		t.Run(name, func(t *testing.T) {
			checkDifferences(t, 17, gradient.Options{}, c.build)
			g, err := differentiate(17, gradient.Options{}, c.build)
			if err != nil {
				t.Fatal(err)
			}
			var rates []float32
			for _, k := range g.Masks {
				rates = append(rates, k.Rate)
				if !slices.Equal(k.Shape, []int64{-1, 4}) ||
					!slices.ContainsFunc(g.Model.Inputs(), func(in graph.Input) bool { return in.Name == k.Name }) {
					t.Errorf("mask %s of shape %v is no input for rows of 4", k.Name, k.Shape)
				}
			}
			if !slices.Equal(rates, c.rates) {
				t.Errorf("rates %v, want %v", rates, c.rates)
			}
		})
	}
}

// TestMaskScalesWhatIsKept: the loss of the sum of dropped ones is the sum of the mask.
func TestMaskIsMultiplied(t *testing.T) {
	onnxtest.Start(t)
	m := newMaker("mask")
	m.Output(m.Node("ReduceSum", "loss",
		[]string{m.op("Dropout", m.op("Mul", m.batch("rows", 4), m.Init("s", []int64{4}, []float32{1, 1, 1, 1})))},
		i("keepdims", 1)), graph.Float32, 1, 1)
	model := m.Model()
	g, err := gradient.Build(model, "loss", gradient.Options{Trainable: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	s := newSample(t, model, g)
	for i := range s.values["rows"] {
		s.values["rows"][i], s.values[g.Masks[0].Name][i] = float32(i+1), 0
	}
	s.values[g.Masks[0].Name][5] = 2
	got := numbers(s.open(t, g.Model, s.outputs...)())
	if got["loss"][0] != 12 || !slices.Equal(got["grad.s"], []float32{0, 12, 0, 0}) {
		t.Errorf("the sixth number, 6, kept twice: loss %v, gradient %v", got["loss"], got["grad.s"])
	}
}

// TestRunningStatistics: one step of PyTorch's rule, old + momentum*(batch - old), the variance over n-1.
func TestRunningStatistics(t *testing.T) {
	onnxtest.Start(t)
	for name, c := range map[string]struct {
		momentum float64
		attrs    []graph.Attr
		want     float64
	}{
		"default":    {0, nil, .1},
		"the node's": {0, []graph.Attr{graph.Float("momentum", .75)}, .25},
		"the option": {.5, []graph.Attr{graph.Float("momentum", .75)}, .5},
	} {
		m := newMaker("statistics")
		x := m.op("Mul", m.batch("rows", 1), m.Init("s", []int64{1}, []float32{1}))
		y := m.Node("BatchNormalization", "",
			[]string{x, m.p("ga", 1), m.p("be", 1), m.Init("mean", []int64{1}, []float32{10}),
				m.Init("variance", []int64{1}, []float32{5})}, c.attrs...)
		model := m.weighed(y)
		g, err := gradient.Build(model, "loss", gradient.Options{Trainable: m.params, StatMomentum: c.momentum})
		if err != nil {
			t.Fatal(err)
		}
		s := newSample(t, model, g)
		s.values["rows"] = []float32{1, 2, 6} // mean 3, squares of the distances 4 + 1 + 9
		got := numbers(s.open(t, g.Model, s.outputs...)())
		for name, want := range map[string]float64{"next.mean": 10 + c.want*(3-10), "next.variance": 5 + c.want*(7-5)} {
			if math.Abs(float64(got[name][0])-want) > 1e-5 {
				t.Errorf("%s: %s is %v, want %g", name, name, got[name], want)
			}
		}
		if len(g.Stats) != 2 || g.Stats[0].Name != "mean" || g.Stats[1].Next != "next.variance" ||
			!slices.Equal(g.Stats[1].Shape, []int64{1}) {
			t.Errorf("%s: statistics %v", name, g.Stats)
		}
	}
}

// TestWithInputs: the numbers that were inside give the same from outside, and the model itself stays as it was.
func TestWithInputs(t *testing.T) {
	onnxtest.Start(t)
	m := newMaker("inputs")
	model := m.weighed(m.op("Add", m.op("Mul", m.batch("rows", 4), m.p("s", 4)), m.p("b", 4)))
	before := proto.Clone(model.ModelProto)
	out := gradient.WithInputs(model, []string{"b"})
	if !proto.Equal(before, model.ModelProto) {
		t.Error("the model has changed")
	}
	if got := out.Initializers(); got["b"] != nil || got["s"] == nil {
		t.Errorf("%d initializers are left", len(got))
	}
	var in []string
	for _, v := range out.Inputs() {
		in = append(in, fmt.Sprint(v.Name, v.Shape, v.Type))
	}
	if want := []string{"rows[-1 4]FLOAT", "b[4]FLOAT"}; !slices.Equal(in, want) {
		t.Errorf("inputs %v, want %v", in, want)
	}
	s := newSample(t, model, &gradient.Graph{Model: out})
	inside, outside := s.open(t, model, "loss")()["loss"].Float32(), s.open(t, out, "loss")()["loss"].Float32()
	if inside[0] != outside[0] {
		t.Errorf("loss %v from outside, %v from inside", outside, inside)
	}
}

// TestLossInputs: what a loss adds, and that the model itself stays as it was.
func TestLossInputs(t *testing.T) {
	onnxtest.Start(t)
	for name, c := range map[string]struct {
		with   func(*graph.Model, string) (*graph.Model, error)
		labels string
	}{
		"cross-entropy":        {gradient.WithCrossEntropy, "labels[-1]INT64"},
		"binary cross-entropy": {gradient.WithBinaryCrossEntropy, "labels[-1 3]FLOAT"},
	} {
		m := newMaker(name)
		m.Output(m.Node("MatMul", "logits", []string{m.batch("rows", 4), m.p("w", 4, 3)}), graph.Float32, "N", 3)
		model := m.Model()
		before := proto.Clone(model.ModelProto)
		with, err := c.with(model, "logits")
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(before, model.ModelProto) {
			t.Errorf("%s: the model has changed", name)
		}
		var got []string
		for _, v := range with.Inputs() {
			got = append(got, fmt.Sprint(v.Name, v.Shape, v.Type))
		}
		if want := []string{"rows[-1 4]FLOAT", "class_weights[3]FLOAT", "label_smoothing[]FLOAT", "loss_scale[]FLOAT",
			c.labels}; !slices.Equal(got, want) {
			t.Errorf("%s: inputs %v, want %v", name, got, want)
		}
		got = nil
		for _, v := range with.Outputs() {
			got = append(got, fmt.Sprint(v.Name, v.Shape))
		}
		if want := []string{"logits[-1 3]", "loss[1]"}; !slices.Equal(got, want) {
			t.Errorf("%s: outputs %v, want %v", name, got, want)
		}
		if err := with.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		said := map[string][]int64{}
		for _, v := range with.Graph.ValueInfo {
			said[v.GetName()] = []int64{}
			for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
				said[v.GetName()] = append(said[v.GetName()],
					map[bool]int64{true: -1, false: d.GetDimValue()}[d.GetDimParam() != ""])
			}
		}
		said["logits"] = []int64{-1, 3}
		sample := newSample(t, with, &gradient.Graph{Model: with})
		checkShapes(t, sample, said)
		shapes, err := shape.Shapes(with, nil)
		if err != nil || !slices.Equal(shapes[gradient.Objective], []int64{1}) {
			t.Errorf("%s: the objective has shape %v, %v", name, shapes[gradient.Objective], err)
		}
		// what can't be had
		for what, build := range map[string]func(m *maker) string{
			"no rows":      func(m *maker) string { return m.batch("x", 3, 2) },
			"no classes":   func(m *maker) string { return m.batch("x", 0) },
			"open classes": func(m *maker) string { return m.batch("x", "C") },
		} {
			m := newMaker(name)
			m.Output(m.Node("Identity", "y", []string{build(m)}), graph.Float32)
			_, err := c.with(m.Model(), "y")
			if err == nil || failure.KindOf(err) != failure.DataKind ||
				!strings.Contains(err.Error(), "a loss needs [batch, classes]") {
				t.Errorf("%s of %s: %v", name, what, err)
			}
		}
		circle := newMaker(name)
		circle.Output(circle.Node("Neg", "y", []string{circle.batch("x", 3)}), graph.Float32, "N", 3)
		model = circle.Model()
		model.Graph.Node[0].Input[0] = "y"
		if _, err := c.with(model, "y"); err == nil || !strings.Contains(err.Error(), "depends on its own output") {
			t.Errorf("%s of what depends on itself: %v", name, err)
		}
	}
}

// TestImports: the operator sets that the nodes need, the model's own unchanged.
func TestImports(t *testing.T) {
	conv := func(m *maker) string { return m.layer(m.pixels(), "w") }
	for block, want := range map[int64]string{0: "[ 17]", 16: "[ 17 com.microsoft.nchwc 1]"} {
		g, err := differentiate(17, gradient.Options{Block: block}, conv)
		if err != nil {
			t.Fatal(err)
		}
		var sets []string
		for _, s := range g.Model.OpsetImport {
			sets = append(sets, fmt.Sprint(s.GetDomain(), " ", s.GetVersion()))
		}
		if got := fmt.Sprint(sets); got != want || g.Model.GetIrVersion() < 8 {
			t.Errorf("block %d: operator sets %v, IR %d; want %s", block, got, g.Model.GetIrVersion(), want)
		}
	}
}

// TestLeavesAreLast: what nothing reads is at the end, in the order of the outputs, and made without a copy.
func TestLeavesAreLast(t *testing.T) {
	g, err := differentiate(17, gradient.Options{Trainable: []string{"v", "w", "s"}}, func(m *maker) string {
		return m.layer(m.op("Relu", m.layer(m.pixels(), "w")), "v")
	})
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, n := range g.Model.Graph.Node {
		made = append(made, n.Output...)
		if n.GetOpType() == "Identity" {
			t.Errorf("%s is a copy", n.Output[0])
		}
	}
	if got, want := made[len(made)-4:], []string{"loss", "grad.v", "grad.w", "grad.s"}; !slices.Equal(got, want) {
		t.Errorf("the last nodes make %v, want %v", got, want)
	}
}

// TestRuleOfTheWrongShape: a derivative that does not fit is told where it is given.
func TestRuleOfTheWrongShape(t *testing.T) {
	ceil := graph.Op{Name: "Ceil"}
	gradient.Rules()[ceil] = gradient.ScalarRule
	defer delete(gradient.Rules(), ceil)
	_, err := differentiate(17, gradient.Options{}, func(m *maker) string { return m.op("Ceil", m.p("x", 2, 3)) })
	if err == nil || !strings.Contains(err.Error(), `operator Ceil`) ||
		!strings.Contains(err.Error(), `input "x" of shape [2 3] a derivative of shape []`) {
		t.Errorf("%v", err)
	}
}

// kinds counts the operators of a training graph.
func kinds(g *gradient.Graph) map[string]int {
	n := map[string]int{}
	walk(g.Model.Graph, func(node *onnxpb.NodeProto) {
		n[strings.TrimPrefix(node.GetDomain()+"."+node.GetOpType(), ".")]++
	})
	return n
}

func walk(g *onnxpb.GraphProto, visit func(*onnxpb.NodeProto)) {
	for _, n := range g.Node {
		visit(n)
		if body := graph.Find(n, "body").GetG(); body != nil {
			walk(body, visit)
		}
	}
}
