package gradient_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/onnx/gradient"
	"finetune/onnx/graph"
)

// differentiate builds the training graph of the sum of what make gives.
func differentiate(opset int64, o gradient.Options, make func(m *maker) string) (*gradient.Graph, error) {
	m := &maker{Builder: graph.NewBuilder("case", opset), name: "case"}
	m.Output(m.Node("Reshape", "loss", []string{m.op("ReduceSum", make(m), i("keepdims", 0)), m.ints(1)}), graph.Float32,
		1)
	if o.Trainable == nil {
		o.Trainable = m.params
	}
	return gradient.Build(m.Model(), "loss", o)
}

// An input without a derivative is refused by name where it trains; where it depends on what trains, as sizes do,
// nothing flows through it.
func TestInputsWithoutDerivatives(t *testing.T) {
	_, err := differentiate(17, gradient.Options{}, func(m *maker) string {
		return m.op("Pad", m.p("x", 2), m.ints(1, 1), m.p("value"))
	})
	if err == nil || !strings.Contains(err.Error(), `its input "value" cannot be trained; leave it out`) ||
		failure.KindOf(err) != failure.DataKind {
		t.Errorf("%v, want bad data that names the value", err)
	}
	g, err := differentiate(17, gradient.Options{}, func(m *maker) string {
		x := m.p("x", 2, 3)
		return m.op("Reshape", x, m.op("Shape", m.op("Exp", x)))
	})
	if err != nil || len(g.Params) != 1 {
		t.Errorf("sizes of what trains: %v", err)
	}
}

// TestRefused: what has no exact rule is refused, in words that say what has one.
func TestRefused(t *testing.T) {
	zeros := func(m *maker) string { return m.op("Sub", m.Input("run", graph.Int64, 2), m.ints(0, 0)) }
	for name, c := range map[string]struct {
		make func(m *maker) string
		want string
	}{
		"gelu by tanh": {func(m *maker) string { return m.op("Gelu", m.x(), graph.Str("approximate", "tanh")) },
			"only the exact form has a rule"},
		"layer norm over two axes": {func(m *maker) string {
			return m.op("LayerNormalization", m.p("x", 2, 3, 4), m.p("ga", 3, 4), m.p("be", 3, 4), i("axis", 1))
		}, "only the last has a rule"},
		"clip at a computed limit": {func(m *maker) string { return m.op("Clip", m.x(), m.Input("lo", graph.Float32)) },
			"only constant limits have a rule"},
		"pad by reflection": {func(m *maker) string {
			return m.op("Pad", m.x(), m.ints(0, 0, 1, 1, 0, 0, 1, 1), graph.Str("mode", "reflect"))
		}, "only constant has a rule"},
		"pad of named axes": {func(m *maker) string {
			return m.op("Pad", m.p("x", 2, 3), m.ints(1, 1), "",
				m.ints(1))
		}, "only constant pads of every axis"},
		"reduce over computed axes": {func(m *maker) string { return m.op("ReduceSum", m.p("x", 2, 3), zeros(m)) },
			"only constant axes have a rule"},
		"conv of rows": {func(m *maker) string { return m.op("Conv", m.p("x", 1, 2, 8), m.p("w", 3, 2, 3)) },
			"only two-dimensional convolutions"},
		"conv of unknown padding": {func(m *maker) string {
			return m.conv(m.images(16, 4, 5), m.w(), graph.Str("auto_pad", "SAME"))
		}, `auto_pad "SAME" is unknown`},
		"pool of one stride": {func(m *maker) string {
			return m.op("AveragePool", m.x(), ints("kernel_shape", 2, 2), ints("strides", 2))
		}, "strides [2]"},
		"norm of rows of pixels": {func(m *maker) string { return m.norm(m.p("x", 2, 16, 5)) }, "only [batch, features] and"},
		"average pool, both": {func(m *maker) string {
			return m.op("AveragePool", m.x(), ints("kernel_shape", 2, 2), ints("strides", 2, 2), i("ceil_mode", 1),
				i("count_include_pad", 1))
		}, "only one of them has a rule"},
		"conv over open sizes": {func(m *maker) string {
			return m.conv(m.op("Mul", m.batch("image", 16, "H", "W"), m.p("s", 16, 1, 1)), m.w())
		}, "only two-dimensional windows over fixed sizes"},
		"average pool of rows": {func(m *maker) string {
			return m.op("AveragePool", m.p("x", 2, 3, 8),
				ints("kernel_shape", 2))
		}, "only two-dimensional windows"},
		"concat of batches": {func(m *maker) string {
			x := m.op("Mul", m.batch("rows", 4), m.p("s", 4))
			return m.op("Concat", x, x, i("axis", 0))
		}, "joins along an axis whose size is not fixed"},
		"slice of a batch": {func(m *maker) string {
			return m.op("Slice", m.op("Mul", m.batch("rows", 4), m.p("s", 4)), m.ints(0), m.ints(1), m.ints(-2))
		}, "cuts an axis whose size is not fixed"},
		"slice at a computed start": {func(m *maker) string {
			return m.op("Slice", m.p("x", 4),
				m.Input("from", graph.Int64, 1), m.ints(4))
		}, "computed limits"},
		"slice at a computed end": {func(m *maker) string {
			return m.op("Slice", m.p("x", 4), m.ints(0),
				m.Input("to", graph.Int64, 1))
		}, "computed limits"},
		"slice of computed axes": {func(m *maker) string {
			return m.op("Slice", m.p("x", 4, 4), m.ints(0), m.ints(2), m.Input("axis", graph.Int64, 1))
		}, "computed limits"},
		"clip at a trained limit": {func(m *maker) string { return m.op("Clip", m.x(), m.p("lo")) },
			"only constant limits have a rule"},
		"clip at a computed top": {func(m *maker) string {
			return m.op("Clip", m.x(), m.floats(0),
				m.Input("hi", graph.Float32))
		}, "only constant limits have a rule"},
		"pad by computed numbers": {func(m *maker) string {
			return m.op("Pad", m.p("x", 4),
				m.Input("pads", graph.Int64, 2))
		}, "only constant pads of every axis"},
		"matmul of a vector": {func(m *maker) string { return m.op("MatMul", m.p("x", 3), m.p("w", 3, 4)) },
			"only matrices and stacks of them"},
		"layer norm from the first": {func(m *maker) string {
			return m.op("LayerNormalization", m.p("x", 3, 4), m.p("ga", 3, 4), i("axis", -2))
		}, "only the last has a rule"},
	} {
		_, err := differentiate(20, gradient.Options{}, c.make)
		if err == nil || !strings.Contains(err.Error(), c.want) || failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s: %v, want bad data that says %q", name, err, c.want)
		}
	}
	if _, err := differentiate(12, gradient.Options{}, func(m *maker) string { return m.p("x", 2) }); err == nil ||
		!strings.Contains(err.Error(), "convert the model to 13 or later") {
		t.Errorf("operator set 12: %v", err)
	}
	if _, err := differentiate(13, gradient.Options{}, func(m *maker) string { return m.p("x", 2) }); err != nil {
		t.Errorf("operator set 13: %v", err)
	}
	if _, err := differentiate(17, gradient.Options{Trainable: []string{"x", "z"}},
		func(m *maker) string { m.p("z", 2); return m.p("x", 2) }); err == nil ||
		!strings.Contains(err.Error(), `does not depend on parameter "z"`) {
		t.Errorf("a parameter beside the loss: %v", err)
	}
	m := newMaker("pair")
	m.Output(m.Node("Neg", "loss", []string{m.p("x", 2)}), graph.Float32, 2)
	if _, err := gradient.Build(m.Model(), "loss", gradient.Options{Trainable: m.params}); err == nil ||
		!strings.Contains(err.Error(), "a loss has one element") {
		t.Errorf("a loss of two elements: %v", err)
	}
}

// TestBlockedDepthwise: depthwise convolutions and their two gradients stay in the blocked layout, with a way back to
// the plain one.
func TestBlockedDepthwise(t *testing.T) {
	for channels, blocked := range map[int64]int{32: 3, 24: 0} { // 24 is no multiple of 16: standard operators alone
		g, err := differentiate(17, gradient.Options{Block: 16}, func(m *maker) string {
			x := m.op("Mul", m.p("x", 2, channels, 8, 8), m.p("s", 1))
			return m.op("Exp", m.op("Conv", x, m.p("w", channels, 1, 3, 3), i("group", channels), p1))
		})
		if err != nil {
			t.Fatal(err)
		}
		convs, back := 0, 0
		count := func(op, domain string) {
			if domain == "com.microsoft.nchwc" && op == "Conv" {
				convs++
			}
			if op == "ReorderOutput" {
				back++
			}
		}
		for _, n := range g.Model.Graph.Node {
			count(n.GetOpType(), n.GetDomain())
			if body := graph.Find(n, "body").GetG(); body != nil {
				for _, inner := range body.Node {
					count(inner.GetOpType(), inner.GetDomain())
				}
			}
		}
		if convs != blocked || (back > 0) != (blocked > 0) {
			t.Errorf("%d channels: %d blocked convolutions and %d ways back, want %d", channels, convs, back, blocked)
		}
	}
}

// TestMemoryOfAChain: y = x*w of a batch: what lives is counted by hand.
func TestMemoryOfAChain(t *testing.T) {
	b := graph.NewBuilder("chain", 17)
	x := b.Input("x", graph.Float32, "N", 100)
	y := b.Node("MatMul", "y", []string{x, b.Init("w", []int64{100, 10}, make([]float32, 1000))})
	b.Output(b.Node("Reshape", "loss",
		[]string{b.Node("ReduceSum", "sum", []string{y}, i("keepdims", 0)), b.Ints("one", []int64{1}, []int64{1})}),
		graph.Float32, 1)
	g, err := gradient.Build(b.Model(), "loss", gradient.Options{Trainable: []string{"w"}})
	if err != nil {
		t.Fatal(err)
	}
	// Of each image: x (100 numbers) and, when w's gradient is made, x transposed (100) and dy (10). w and its gradient
	// are 1000 numbers each; sums, shapes and constants are a few more.
	m := g.Memory
	if m.PerImage != 4*(100+100+10) {
		t.Errorf("%d bytes an image, want %d", m.PerImage, 4*210)
	}
	if few := m.Fixed - 4*2000; few < 0 || few > 4*20 {
		t.Errorf("%d bytes fixed, want 8000 and a few", m.Fixed)
	}
	if m.Of(7) != m.Fixed+7*m.PerImage {
		t.Errorf("a batch of 7 is said to take %d", m.Of(7))
	}
}

// TestMemoryOfLayers: what a layer adds to the peak: its output if a derivative needs it, nothing if none does.
func TestMemoryOfLayers(t *testing.T) {
	peak := func(layers ...string) gradient.Memory {
		t.Helper()
		g, err := differentiate(17, gradient.Options{}, func(m *maker) string {
			x := m.op("Mul", m.batch("rows", 100), m.p("s", 100))
			for k, layer := range layers {
				switch layer {
				case "Reshape":
					x = m.op(layer, x, m.ints(-1, 10, 10))
					x = m.op(layer, x, m.ints(-1, 100))
				case "Turn": // rows of 10 numbers, ten of each image, turned into columns and back
					x = m.op("Transpose", m.op("Transpose", m.op("Reshape", x, m.ints(-1, 10))))
					x = m.op("Reshape", x, m.ints(-1, 100))
				case "Part": // a tenth of a frozen constant of 1000 numbers
					x = m.op("Mul", x, m.op("Slice", m.fixed(fmt.Sprint("c", k), 1000), m.ints(300), m.ints(400)))
				case "Add": // a frozen constant of 100 numbers
					x = m.op(layer, x, m.fixed(fmt.Sprint("c", k), 100))
				case "Output":
					m.Output(x, graph.Float32, "N", 100)
				default:
					x = m.op(layer, x)
				}
			}
			return x
		})
		if err != nil {
			t.Fatal(err)
		}
		return g.Memory
	}
	// Of each image: its 100 numbers, exp and, on the way back, the derivatives of exp's output and input.
	base := peak("Exp")
	if base.PerImage != 4*400 {
		t.Errorf("%d bytes an image, want %d", base.PerImage, 4*400)
	}
	for _, c := range []struct {
		layers      []string
		each, fixed int64 // numbers more than base
	}{
		{[]string{"Exp", "Exp"}, 100, 0},
		{[]string{"Exp", "Exp", "Exp"}, 200, 0},
		{[]string{"Exp", "Neg"}, 0, 0},
		{[]string{"Neg", "Exp", "Neg"}, 0, 0},
		{[]string{"Reshape", "Exp"}, 100, 0}, // what was reshaped waits to be asked for its shape
		{[]string{"Turn", "Exp"}, 200, 0},    // twice
		{[]string{"Exp", "Part"}, 0, 1100},
		{[]string{"Exp", "Add"}, 0, 100},
		{[]string{"Exp", "Add", "Add"}, 0, 200},
		{[]string{"Neg", "Output", "Exp"}, 100, 0},
	} {
		got := peak(c.layers...)
		if each, fixed := got.PerImage-base.PerImage, got.Fixed-base.Fixed; each != 4*c.each || fixed < 4*c.fixed ||
			fixed > 4*c.fixed+64 {
			t.Errorf("%v: %d bytes more an image and %d fixed, want %d and %d", c.layers, each, fixed, 4*c.each, 4*c.fixed)
		}
	}
}

// TestMemoryOfViews: a tensor lives as long as what was reshaped from it, and no longer.
func TestMemoryOfViews(t *testing.T) {
	views := map[string]func(m *maker, x string) string{
		"none":     func(m *maker, x string) string { return x },
		"Reshape":  func(m *maker, x string) string { return m.op("Reshape", x, m.ints(-1, 10, 10)) },
		"Identity": func(m *maker, x string) string { return m.op("Identity", x) },
		"Flatten":  func(m *maker, x string) string { return m.op("Flatten", x) },
		"a chain": func(m *maker, x string) string {
			x = m.op("Unsqueeze", m.op("Reshape", x, m.ints(-1, 10, 10)), m.ints(1))
			return m.op("Identity", m.op("Squeeze", x, m.ints(1)))
		},
	}
	for name, view := range views {
		g, err := differentiate(17, gradient.Options{}, func(m *maker) string {
			x := view(m, m.op("Exp", m.batch("rows", 100)))
			return m.op("Exp", m.op("Mul", x, m.p("s", 1)))
		})
		if err != nil {
			t.Fatal(name, err)
		}
		// Of each image, when the second exp is differentiated: rows, the first exp, which s's gradient needs, the second,
		// and the derivatives of its output and input.
		if got := g.Memory.PerImage; got != 4*500 {
			t.Errorf("%s: %d bytes an image, want %d", name, got, 4*500)
		}
		// What is differentiated through a view is freed when the view is, unless it waits to be asked for its shape.
		g, err = differentiate(17, gradient.Options{}, func(m *maker) string {
			return m.op("Exp", m.op("Exp", view(m, m.op("Mul", m.batch("rows", 100), m.p("s", 1)))))
		})
		if err != nil {
			t.Fatal(name, err)
		}
		want := int64(4 * 500)
		if name != "none" && name != "Identity" {
			want += 4 * 100
		}
		if got := g.Memory.PerImage; got != want {
			t.Errorf("%s, differentiated: %d bytes an image, want %d", name, got, want)
		}
	}
}

// TestInputsAndOutputsInOrder: as the caller asked for them.
func TestInputsAndOutputsInOrder(t *testing.T) {
	g, err := differentiate(17, gradient.Options{Trainable: []string{"b", "a"}}, func(m *maker) string {
		return m.op("Mul", m.op("Add", m.p("a", 2, 3), m.p("b", 3)), m.p("frozen", 2, 3))
	})
	if err != nil {
		t.Fatal(err)
	}
	var in, out []string
	for _, v := range g.Model.Inputs() {
		in = append(in, fmt.Sprint(v.Name, v.Shape))
	}
	for _, v := range g.Model.Outputs() {
		out = append(out, fmt.Sprint(v.Name, v.Shape))
	}
	if want := []string{"b[3]", "a[2 3]"}; !slices.Equal(in, want) {
		t.Errorf("inputs %v, want %v", in, want)
	}
	if want := []string{"loss[1]", "grad.b[3]", "grad.a[2 3]"}; !slices.Equal(out, want) {
		t.Errorf("outputs %v, want %v", out, want)
	}
}
