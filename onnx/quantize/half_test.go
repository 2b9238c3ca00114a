package quantize

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/half"
	"finetune/internal/onnxtest"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// The graph package widens binary16; every finite number comes back, a number
// halfway between two goes to the one whose last bit is 0, and its neighbours to the nearest.
func TestEveryFloat16(t *testing.T) {
	for h := range uint16(0x7c00) {
		var pair [2]float32
		for i := range pair {
			v, err := graph.FloatsOf(bytesTensor("h", graph.Float16, nil, []byte{byte(h) + byte(i), byte((int(h) + i) >> 8)}))
			if err != nil {
				t.Fatal(err)
			}
			pair[i] = v[0]
		}
		if got := half.From(pair[0]); got != h {
			t.Fatalf("float16(%g) = %#04x, want %#04x", pair[0], got, h)
		}
		if got := half.From(-pair[0]); h > 0 && got != h|0x8000 {
			t.Fatalf("float16(%g) = %#04x, want %#04x", -pair[0], got, h|0x8000)
		}
		if h == 0x7bff {
			break // the next is infinite
		}
		middle := (pair[0] + pair[1]) / 2 // exact in float32
		below, above := math.Nextafter32(middle, 0), math.Nextafter32(middle, 1e6)
		if a, b, c := half.From(below), half.From(middle), half.From(above); a != h || b != h+h%2 || c != h+1 {
			t.Fatalf("around %g: %#04x %#04x %#04x beside %#04x", middle, a, b, c, h)
		}
	}
	for _, nan := range []uint32{0x7fc00000, 0xffc00000} {
		if got, want := half.From(math.Float32frombits(nan)), uint16(nan>>16&0x8000)|0x7e00; got != want {
			t.Errorf("half.From(NaN %#x) = %#04x, want %#04x", nan, got, want)
		}
	}
}

// within is a network of one operator between two float32 ones.
func within(op func(b *graph.Builder, x string) string) *graph.Model {
	b := graph.NewBuilder("within", 17)
	x := b.Node("Mul", "first",
		[]string{b.Input("image", graph.Float32, "N", 3, 16, 16), b.Init("shared", nil, []float32{3})})
	x = b.Node("Mul", "inner", []string{x, "shared"})
	x = b.Node("Identity", "last", []string{op(b, x)})
	b.Output(b.Node("Mul", "out", []string{x, "shared"}), graph.Float32, "N", 3, 16, 16)
	return b.Model()
}

// Each constant gets its new type where ONNX wants the type of the data, and keeps it where ONNX wants float32.
func TestHalfConstants(t *testing.T) {
	onnxtest.Start(t)
	third := graph.FloatTensor("third", nil, []float32{1. / 3})
	for name, op := range map[string]func(b *graph.Builder, x string) string{
		"initializer": func(b *graph.Builder, x string) string {
			return b.Node("Mul", "", []string{x, b.Init("", nil, []float32{1. / 3})})
		},
		"Constant": func(b *graph.Builder, x string) string {
			return b.Node("Mul", "", []string{x, b.Node("Constant", "", nil, graph.Tensor("value", third))})
		},
		"Constant of a number": func(b *graph.Builder, x string) string {
			return b.Node("Mul", "", []string{x, b.Node("Constant", "", nil, graph.Float("value_float", 1./3))})
		},
		"Constant of numbers": func(b *graph.Builder, x string) string {
			return b.Node("Mul", "", []string{x, b.Node("Constant", "", nil, graph.Floats("value_floats", 1./3))})
		},
		"Constant of integers": func(b *graph.Builder, x string) string {
			return b.Node("Reshape", "", []string{x, b.Node("Constant", "", nil, graph.Ints("value_ints", 0, 3, 16, 16))})
		},
		"ConstantOfShape": func(b *graph.Builder, x string) string {
			one := graph.FloatTensor("", []int64{1}, []float32{1. / 3})
			shape := b.Node("Shape", "", []string{x})
			return b.Node("Mul", "", []string{x, b.Node("ConstantOfShape", "", []string{shape}, graph.Tensor("value", one))})
		},
		"Cast": func(b *graph.Builder, x string) string {
			whole := b.Node("Cast", "", []string{x}, graph.Int("to", int64(graph.Int32)))
			return b.Node("Mul", "", []string{x, b.Node("Cast", "", []string{whole}, graph.Int("to", int64(graph.Float32)))})
		},
		"attributes of others": func(b *graph.Builder, x string) string {
			y := b.Node("Mul", "", []string{x, b.Node("Identity", "", []string{b.Init("", nil, []float32{1. / 3})})})
			return b.Node("LeakyRelu", "", []string{y}, graph.Float("alpha", .5))
		},
		"Resize": func(b *graph.Builder, x string) string {
			return b.Node("Resize", "", []string{x, "", b.Init("", []int64{4}, []float32{1, 1, 1, 1})})
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := within(op)
			before, _ := m.Digest()
			half, err := Half(m, "first", "last")
			if err != nil {
				t.Fatal(err)
			}
			x := draws("x", 2*3*256, 0.2, 0.3)
			if d := worst(run(t, half, x, 2), run(t, m, x, 2)); d > 5e-3 { // 11 bits a number
				t.Errorf("differs by %g of the largest value", d)
			}
			if after, _ := m.Digest(); after != before {
				t.Error("Half changed its argument")
			}
			// What lies outside computes in float32: its constant is there still, and the inner one beside it.
			types := map[string]int32{}
			for _, i := range half.Graph.Initializer {
				types[i.GetName()] = i.GetDataType()
			}
			if types["shared"] != graph.Float32 || types["shared/float16"] != graph.Float16 {
				t.Errorf("types %v", types)
			}
		})
	}
}

func TestHalfLimits(t *testing.T) {
	const most = 65504 // the largest float16
	for _, tt := range []struct {
		value float32
		ok    bool
	}{{most, true}, {-most, true}, {65519, true}, {65520, false}, {-65520, false}, {float32(math.Inf(1)), false}} {
		for name, op := range map[string]func(b *graph.Builder, x string) string{
			`tensor "large"`: func(b *graph.Builder, x string) string {
				return b.Node("Min", "", []string{x, b.Init("large", nil, []float32{tt.value})})
			},
			`node "inside"`: func(b *graph.Builder, x string) string {
				return b.Node("Min", "",
					[]string{x, b.Node("Constant", "inside", nil,
						graph.Tensor("value", graph.FloatTensor("", nil, []float32{tt.value})))})
			},
		} {
			_, err := Half(within(op), "first", "last")
			if tt.ok && err != nil || !tt.ok && (err == nil || !strings.Contains(err.Error(), name)) {
				t.Errorf("%s %g: %v", name, tt.value, err)
			}
		}
	}
	plain := func(_ *graph.Builder, x string) string { return x }
	for _, ends := range [][2]string{{"nothing", "last"}, {"first", "nothing"}, {"image", "last"}} {
		if _, err := Half(within(plain), ends[0], ends[1]); err == nil || !strings.Contains(err.Error(), "to lie between") {
			t.Errorf("between %v: %v", ends, err)
		}
	}
}

func TestHalfWholeKeepsItsEnds(t *testing.T) {
	m := residual()
	half, err := HalfWhole(m)
	if err != nil {
		t.Fatal(err)
	}
	if half.Graph.Input[0].String() != m.Graph.Input[0].String() ||
		half.Graph.Output[0].String() != m.Graph.Output[0].String() {
		t.Error("its input or output is another")
	}
	b := graph.NewBuilder("two", 17)
	x := b.Node("Add", "sum", []string{b.Input("image", graph.Float32, 1), b.Input("other", graph.Float32, 1)})
	b.Output(x, graph.Float32, 1)
	if _, err := HalfWhole(b.Model()); err == nil || !strings.Contains(err.Error(), "2 inputs and 1 output") {
		t.Errorf("two inputs: %v", err)
	}
	b = graph.NewBuilder("two", 17)
	x = b.Input("image", graph.Float32, 1)
	b.Output(b.Node("Relu", "a", []string{x}), graph.Float32, 1)
	b.Output(b.Node("Relu", "b", []string{x}), graph.Float32, 1)
	if _, err := HalfWhole(b.Model()); err == nil || !strings.Contains(err.Error(), "1 input and 2 outputs") {
		t.Errorf("two outputs: %v", err)
	}
}

// A branch of If can read any tensor of the graph around it; nothing rewrites it, and everything says so.
func TestGraphsInsideAreRefused(t *testing.T) {
	branch := func(name string) *onnxpb.GraphProto {
		inner := graph.NewBuilder(name, 17)
		inner.Output(inner.Init(name+".value", []int64{1, 3, 16, 16}, make([]float32, 768)), graph.Float32, 1, 3, 16, 16)
		return inner.Model().Graph
	}
	m := within(func(b *graph.Builder, x string) string {
		yes := b.InitTensor(bytesTensor("yes", graph.Bool, nil, []byte{1}))
		y := b.Node("If", "branching", []string{yes}, graph.Graph("then_branch", branch("a")),
			graph.Graph("else_branch", branch("b")))
		return b.Node("Add", "", []string{x, y})
	})
	for name, rewrite := range map[string]func() (*graph.Model, error){
		"Fold":      func() (*graph.Model, error) { return Fold(m) },
		"Half":      func() (*graph.Model, error) { return Half(m, "first", "last") },
		"HalfWhole": func() (*graph.Model, error) { return HalfWhole(m) },
		"Int8":      func() (*graph.Model, error) { return Int8(m, nil) },
	} {
		if _, err := rewrite(); err == nil || !strings.Contains(err.Error(), `"branching" (If)`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is wrong with a model is told, not written.
func TestBrokenModelsAreTold(t *testing.T) {
	m := residual()
	m.Graph.Output[0].Name = proto.String("missing")
	for name, rewrite := range map[string]func() (*graph.Model, error){
		"Fold":      func() (*graph.Model, error) { return Fold(m) },
		"Half":      func() (*graph.Model, error) { return Half(m, "scaled", "mean") },
		"HalfWhole": func() (*graph.Model, error) { return HalfWhole(m) },
	} {
		if _, err := rewrite(); err == nil || !strings.Contains(err.Error(), "missing") {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := residual()
	two := short.Initializers()["two"]
	two.RawData, two.FloatData = []byte{0, 0, 0}, nil
	if _, err := HalfWhole(short); err == nil || !strings.Contains(err.Error(), `tensor "two"`) {
		t.Errorf("a constant cut short: %v", err)
	}
}
