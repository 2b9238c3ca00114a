package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/inspect"
	"finetune/onnx/surgery"
)

// onMap is a model whose head works on "map", [2, 6, height, width], a 1 by 1 convolution of the image.
func onMap(height, width int, head func(b *graph.Builder, x string) string) *graph.Model {
	b := graph.NewBuilder("head", 17)
	x := b.Input("image", graph.Float32, 2, 3, height, width)
	x = b.Node("Conv", "map", []string{x, b.Init("w", []int64{6, 3, 1, 1}, make([]float32, 18))})
	b.Output(head(b, x), graph.Float32)
	return b.Model()
}

// TestWhatPoolsGlobally: the many ways exporters write it, and what only looks like it.
func TestWhatPoolsGlobally(t *testing.T) {
	type build = func(b *graph.Builder, x string) string
	op := func(name string, attrs ...graph.Attr) build {
		return func(b *graph.Builder, x string) string { return b.Node(name, "", []string{x}, attrs...) }
	}
	reduce := func(keep int64, axes ...int64) build {
		return op("ReduceMean", graph.Ints("axes", axes...), graph.Int("keepdims", keep))
	}
	pool := func(name string, kernel ...int64) build { return op(name, graph.Ints("kernel_shape", kernel...)) }
	view := func(target ...int64) build {
		return func(b *graph.Builder, x string) string {
			return b.Node("Reshape", "", []string{x, b.Ints("", []int64{int64(len(target))}, target)})
		}
	}
	turn := func(perm ...int64) build { return op("Transpose", graph.Ints("perm", perm...)) }
	for _, c := range []struct {
		name string
		head []build
		cut  bool
	}{
		{"average", []build{op("GlobalAveragePool")}, true},
		{"maximum", []build{op("GlobalMaxPool")}, true},
		{"norm", []build{op("GlobalLpPool")}, true},
		{"another domain's", []build{op("org.example.GlobalAveragePool")}, false},
		{"a window as large as the map", []build{pool("AveragePool", 4, 3)}, true},
		{"a maximum as large as the map", []build{pool("MaxPool", 4, 3)}, true},
		{"a window that leaves two rows", []build{pool("AveragePool", 3, 3)}, false},
		{"a window that leaves two columns", []build{pool("AveragePool", 4, 2)}, false},
		{"mean", []build{reduce(0, 2, 3)}, true},
		{"mean, counted from the end", []build{reduce(1, -1, -2)}, true},
		{"largest", []build{op("ReduceMax", graph.Ints("axes", 2, 3))}, true},
		{"sum", []build{op("ReduceSum", graph.Ints("axes", 2, 3))}, true},
		{"length", []build{op("ReduceL2", graph.Ints("axes", 2, 3))}, true},
		{"mean of channels too", []build{reduce(1, 1, 2, 3)}, false},
		{"mean of channels and rows", []build{reduce(1, 1, 2)}, false},
		{"mean of batch and rows", []build{reduce(1, 0, 2)}, false},
		{"mean of batch and columns", []build{reduce(1, 0, 3)}, false},
		{"mean of rows", []build{reduce(1, 2)}, false},
		{"mean of columns", []build{reduce(1, 3)}, false},
		{"mean of an axis it has not", []build{reduce(1, 2, 4)}, false},
		{"mean, channels last", []build{turn(0, 2, 3, 1), reduce(0, 1, 2)}, true},
		{"mean of other axes, channels last", []build{turn(0, 2, 3, 1), reduce(0, 1, 3)}, false},
		{"mean of one axis, channels last", []build{turn(0, 2, 3, 1), reduce(0, 1)}, false},
		{"mean of three, channels last", []build{turn(0, 2, 3, 1), reduce(0, 1, 2, 3)}, false},
		{"columns, then rows", []build{reduce(1, 3), reduce(1, 2)}, true},
		{"columns, then rows, axes dropped", []build{reduce(0, 3), reduce(0, 2)}, true},
		{"channels, then rows", []build{reduce(1, 1), reduce(1, 2)}, false},
		{"channels and columns, then rows", []build{reduce(1, 1, 3), reduce(1, 2)}, false},
		{"rows, then channels", []build{reduce(1, 2), reduce(1, 1)}, false},
		{"an activation, then rows", []build{op("Relu"), reduce(1, 2)}, false},
		{"channels dropped, then the last axis", []build{reduce(0, 1), reduce(0, 2)}, false},
		{"flattened, then mean", []build{view(0, 6, 12), reduce(0, 2)}, true},
		{"flattened, then mean, kept", []build{view(0, 0, -1), reduce(1, -1)}, true},
		{"flattened, then mean of channels", []build{view(0, 6, 12), reduce(0, 1)}, false},
		{"flattened, then mean of both", []build{view(0, 6, 12), reduce(0, 1, 2)}, false},
		{"other channels, then mean", []build{view(2, 9, 8), reduce(0, 2)}, false},
		{"batch mixed in, then mean", []build{view(1, 6, 24), reduce(0, 2)}, false},
		{"an activation of rows, then mean", []build{view(0, 6, 12), op("Relu"), reduce(0, 2)}, false},
		{"what is pooled, arranged as a volume and reduced",
			[]build{op("GlobalAveragePool"), view(2, 1, 2, 3, 1), reduce(0, 3), reduce(0, 2)}, true},
		{"weights of channels, not the map", []build{func(b *graph.Builder, x string) string {
			return b.Node("Mul", "", []string{x, b.Node("Sigmoid", "", []string{b.Node("GlobalAveragePool", "", []string{x})})})
		}}, false},
		{"flattened into features", []build{op("Flatten")}, true},
		{"shaped into features", []build{view(2, 72)}, true},
		{"shaped into features of another batch", []build{view(12, 12)}, false},
		{"shaped into rows", []build{view(2, 6, 12)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := onMap(4, 3, func(b *graph.Builder, x string) string {
				for _, f := range c.head {
					x = f(b, x)
				}
				return x
			})
			cut, channels, err := surgery.FindCut(m)
			if c.cut && (cut != "map" || channels != 6 || err != nil) ||
				!c.cut && (err == nil || failure.KindOf(err) != failure.DataKind) {
				t.Errorf("cut at %q with %d channels, %v; want a cut: %v", cut, channels, err, c.cut)
			}
		})
	}
	for _, c := range []struct {
		name          string
		height, width int
		head          build
		cut           bool
	}{
		{"one row", 1, 5, op("Flatten"), true}, {"one column", 5, 1, op("Flatten"), true},
		{"one pixel", 1, 1, op("Flatten"), false},
		{"one pixel in a window", 1, 1, pool("AveragePool", 1, 1), false},
		{"one row, seen whole", 1, 5, pool("AveragePool", 1, 5), true},
	} {
		if cut, _, err := surgery.FindCut(onMap(c.height, c.width, c.head)); (cut == "map" && err == nil) != c.cut {
			t.Errorf("%s: cut at %q, %v; want a cut: %v", c.name, cut, err, c.cut)
		}
	}
}

// TestCutsThatCannotBe: each is bad data that says what is missing.
func TestCutsThatCannotBe(t *testing.T) {
	image := func(b *graph.Builder, shape ...any) string { return b.Input("image", graph.Float32, shape...) }
	pool := func(b *graph.Builder, x string) string { return b.Node("GlobalAveragePool", "pool", []string{x}) }
	for name, c := range map[string]struct {
		build func(b *graph.Builder) string
		want  string
	}{
		"of sound, not of pictures": {func(b *graph.Builder) string {
			return pool(b, b.Node("Relu", "map", []string{image(b, "N", 3, 8)}))
		}, "pool (vector"},
		"pooled over axes of a map of unknown shape": {func(b *graph.Builder) string {
			return b.Node("ReduceMean", "mean", []string{b.Node("org.example.Odd", "map", []string{image(b, "N", 3, 8, 8)})},
				graph.Ints("axes", 2, 3))
		}, `input "map" is unknown`},
		"pixels that are pooled at once": {func(b *graph.Builder) string { return pool(b, image(b, "N", 3, 8, 8)) }, "--cut"},
		"no channels": {func(b *graph.Builder) string {
			return b.Node("Flatten", "flat", []string{b.Node("Relu", "map", []string{image(b, "N", 0, 8, 8)})})
		}, "of known shape"},
		"attention of one node, of unknown shape": {func(b *graph.Builder) string {
			return b.Node("com.microsoft.Attention", "tokens", []string{image(b, "N", 3, 8, 8)})
		}, "of known shape"},
		"convolutions of integers": {func(b *graph.Builder) string {
			return b.Node("com.microsoft.QLinearGlobalAveragePool", "map", []string{b.Node("QLinearConv", "integers",
				[]string{image(b, "N", 3, 8, 8)})})
		}, "--body-precision int8"},
		"the name of one alone": {func(b *graph.Builder) string {
			return b.Node("org.example.QLinearConv", "map", []string{b.Node("Relu", "last", []string{image(b, "N", 3, 8, 8)})})
		}, "--cut"},
		"a product without a softmax": {func(b *graph.Builder) string {
			x := b.Node("Relu", "map", []string{image(b, "N", 3, 8, 8)})
			return b.Node("MatMul", "product", []string{x, x})
		}, "--cut"},
	} {
		b := graph.NewBuilder("none", 17)
		b.Output(c.build(b), graph.Float32)
		m := b.Model()
		cut, _, err := surgery.FindCut(m)
		if err == nil || !strings.Contains(err.Error(), c.want) || failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s: cut at %q, %v; want %q", name, cut, err, c.want)
		}
		if info, err := inspect.Describe(m); err != nil || info.CutError == "" || info.Nodes == 0 {
			t.Errorf("%s is described as %+v, %v; want all but a cut", name, info, err)
		}
	}
}

// TestCutOfManyOutputs: the first output that a pooling is needed for decides; a pooling that none needs does not
// count.
func TestCutOfManyOutputs(t *testing.T) {
	m := onMap(8, 8, func(b *graph.Builder, x string) string {
		b.Output(x, graph.Float32)
		return b.Node("GlobalAveragePool", "mean", []string{x})
	})
	if cut, _, err := surgery.FindCut(m); cut != "map" || err != nil {
		t.Errorf("with the map as an output: %q, %v", cut, err)
	}
	m = onMap(8, 8, func(b *graph.Builder, x string) string {
		b.Node("GlobalAveragePool", "unused", []string{x})
		return b.Node("Relu", "active", []string{x})
	})
	if cut, _, err := surgery.FindCut(m); err == nil {
		t.Errorf("cut at %q, whose pooling no output needs", cut)
	}
	m = onMap(8, 8, func(b *graph.Builder, x string) string {
		for range 64 { // 2^64 ways through
			x = b.Node("Add", "", []string{x, x})
		}
		return b.Node("GlobalAveragePool", "mean", []string{x})
	})
	if cut, _, err := surgery.FindCut(m); cut != m.Graph.Node[64].Output[0] || err != nil {
		t.Errorf("many ways through: %q, %v", cut, err)
	}
}

// TestSuggestions: the last five maps, the last one first, at 224 by 224 where the size is open.
func TestSuggestions(t *testing.T) {
	said := func(shape []any, build func(b *graph.Builder, x string) string) string {
		b := graph.NewBuilder("maps", 17)
		b.Output(build(b, b.Input("image", graph.Float32, shape...)), graph.Float32)
		_, _, err := surgery.FindCut(b.Model())
		if err == nil {
			t.Fatal("a cut")
		}
		_, list, _ := strings.Cut(err.Error(), "one of: ")
		return list
	}
	relus := func(names ...string) func(b *graph.Builder, x string) string {
		return func(b *graph.Builder, x string) string {
			for _, n := range names {
				x = b.Node("Relu", n, []string{x})
			}
			return x
		}
	}
	what := " (map 3 × 8 × 8, 6 features)"
	if got := said([]any{1, 3, 8, 8},
		relus("a", "b", "c", "d", "e", "f")); got != strings.Join([]string{"f", "e", "d", "c", "b"}, what+", ")+what {
		t.Errorf("six maps: %s", got)
	}
	if got := said([]any{"N", "C", "H", "W"}, func(b *graph.Builder, x string) string {
		return b.Node("BatchNormalization", "norm", slices.Repeat([]string{x}, 5))
	}); got != "norm (map 3 × 224 × 224, 6 features)" {
		t.Errorf("open sizes: %s", got)
	}
	if got := said([]any{"N", "H", "W", "C"}, func(b *graph.Builder, x string) string {
		x = b.Node("Cast", "cast", []string{x}, graph.Int("to", int64(graph.Float32)))
		return b.Node("Transpose", "turned", []string{x}, graph.Ints("perm", 0, 3, 1, 2))
	}); got != "turned (map 3 × 224 × 224, 6 features), cast (map 224 × 224 × 3, channels last, 6 features)" {
		t.Errorf("open sizes, channels last: %s", got)
	}
}
